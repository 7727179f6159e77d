using System;
using System.Collections.Generic;
using System.Threading;
using System.Threading.Tasks;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.SignalR;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

// The hub of servers.py on ASP.NET Core SignalR and Kestrel, with their defaults, but that clients
// may use stateful reconnect. The program prints its port as soon as it serves, and ends when standard
// input ends.
var builder = WebApplication.CreateBuilder(args);
builder.Logging.ClearProviders();
builder.Services.AddSignalR().AddMessagePackProtocol();
builder.Services.Configure<HostOptions>(options => options.ShutdownTimeout = TimeSpan.FromSeconds(1));

var app = builder.Build();
app.Urls.Add("http://127.0.0.1:0");
app.MapHub<EchoHub>("/hub", options => options.AllowStatefulReconnects = true);
app.Lifetime.ApplicationStarted.Register(() =>
{
    var addresses = app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!;
    foreach (var address in addresses.Addresses)
    {
        Console.WriteLine(new Uri(address).Port);
    }
});
new Thread(() =>
{
    while (Console.In.Read() >= 0)
    {
    }
    app.Lifetime.StopApplication();
})
{ IsBackground = true }.Start();
app.Run();

internal sealed class EchoHub : Hub
{
    public Task<string> Echo(string value) => Task.FromResult(value);

    public async IAsyncEnumerable<string> Stream(string text, int count)
    {
        for (var sent = 0; sent < count; sent++)
        {
            yield return text;
        }
        await Task.CompletedTask;
    }

    public async Task<string> Upload(IAsyncEnumerable<string> items)
    {
        var last = "";
        await foreach (var item in items)
        {
            last = item;
        }
        return last;
    }

    public async Task Broadcast(string text, int count)
    {
        for (var sent = 0; sent < count; sent++)
        {
            await Clients.All.SendAsync("Event", text);
        }
    }
}
