using System;
using System.Threading.Tasks;
using Microsoft.AspNetCore.SignalR.Client;
using Microsoft.Extensions.DependencyInjection;
using Newtonsoft.Json.Linq;

// The client of the gateway's documentation, and nothing that the documentation does not show but printing.
//
//     documented-client URL newtonsoft|stj
//
// It prints CONNECTED, GOT, SAYS and CLOSED lines and stops when its standard input ends.
internal static class Program
{
    private static async Task Main(string[] arguments)
    {
        var (url, protocol) = (arguments[0], arguments[1]);
        var conn = Build(url, protocol);
        var closed = new TaskCompletionSource();
        conn.Closed += error =>
        {
            Console.WriteLine($"CLOSED {(error == null ? "null" : $"{error.GetType().Name}: {error.Message}")}");
            closed.SetResult();
            return Task.CompletedTask;
        };

        // As documented, the start is not awaited before the handler is there; it is later, to report it.
        var started = conn.StartAsync();

        conn.On("ReceiveMessage", new Type[] { typeof(object), typeof(object) }, (arg1, arg2) =>
        {
            Console.WriteLine($"GOT {arg1.Length} {Show(arg1[0])} {Show(arg1[1])} {arg2.GetType()}");
            if (protocol == "newtonsoft")
            {
                var message = JArray.Parse(arg1[0].ToString());
                Console.WriteLine($"SAYS {message[0]}: {message[1]}");
            }
            return Task.CompletedTask;
        }, new object());

        await started;
        Console.WriteLine("CONNECTED");
        await Console.In.ReadToEndAsync();
        await conn.StopAsync();
        await closed.Task;
    }

    private static HubConnection Build(string url, string protocol)
    {
        if (protocol == "newtonsoft")
        {
            return new HubConnectionBuilder()
                .WithUrl(url)
                .AddNewtonsoftJsonProtocol()
                .Build();
        }
        return new HubConnectionBuilder().WithUrl(url).Build();
    }

    /// <summary>The .NET type of a value and its JSON text on one line.</summary>
    private static string Show(object value) =>
        $"{value.GetType()}={(value is JToken token ? token.ToString(Newtonsoft.Json.Formatting.None) : value.ToString())}";
}
