using System;
using System.Threading.Tasks;
using Microsoft.AspNetCore.Http.Connections;
using Microsoft.AspNetCore.SignalR.Client;
using Microsoft.Extensions.DependencyInjection;
using Newtonsoft.Json.Linq;

// The client of the gateway's documentation, and nothing that the documentation does not show but printing.
//
//     documented-client URL newtonsoft|stj|messagepack [TRANSPORT]
//
// It prints CONNECTED, GOT, SAYS and CLOSED lines and stops when its standard input ends.
internal static class Program
{
    private static async Task Main(string[] arguments)
    {
        var (url, protocol) = (arguments[0], arguments[1]);
        var conn = Build(url, protocol, arguments.Length > 2 ? arguments[2] : "");
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

    private static HubConnection Build(string url, string protocol, string transport)
    {
        if (protocol == "newtonsoft" && transport == "")
        {
            return new HubConnectionBuilder()
                .WithUrl(url)
                .AddNewtonsoftJsonProtocol()
                .Build();
        }
        var builder = transport == ""
            ? new HubConnectionBuilder().WithUrl(url)
            : new HubConnectionBuilder().WithUrl(url, Enum.Parse<HttpTransportType>(transport));
        return protocol switch
        {
            "newtonsoft" => builder.AddNewtonsoftJsonProtocol().Build(),
            "messagepack" => builder.AddMessagePackProtocol().Build(),
            _ => builder.Build(),
        };
    }

    /// <summary>The .NET type of a value, and on one line its JSON text or its elements.</summary>
    private static string Show(object value)
    {
        var shown = value switch
        {
            JToken token => token.ToString(Newtonsoft.Json.Formatting.None),
            object[] elements => $"[{string.Join(",", elements)}]",
            _ => value.ToString(),
        };
        return $"{value.GetType()}={shown}";
    }
}
