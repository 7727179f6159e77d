using System.Text.Json;
using Microsoft.AspNetCore.Http.Connections.Client;
using Microsoft.AspNetCore.SignalR.Client;
using Microsoft.Extensions.DependencyInjection;

namespace SignalRDriver;

/// <summary>One HubConnection, the commands on it, and the events it raises.</summary>
internal sealed class Connection
{
    private readonly string _name;
    private readonly Output _output;
    private readonly HubConnection _hub;

    public Connection(string name, JsonElement command, Output output)
    {
        _name = name;
        _output = output;
        _hub = Build(command);
        Watch();
    }

    /// <summary>start, stop, state; on (method, types); invoke (target, args, types?, result); send (target, args, types?).</summary>
    public async Task<object?> Run(JsonElement command)
    {
        switch (command.Text("cmd"))
        {
            case "start":
                await _hub.StartAsync();
                return State();
            case "stop":
                await _hub.StopAsync();
                return State();
            case "state":
                return State();
            case "on":
                AddHandler(command.Text("method")!, command.Types("types"));
                return null;
            case "invoke":
                return await Invoke(command);
            case "send":
                await _hub.SendCoreAsync(command.Text("target")!, command.Arguments());
                return null;
            default:
                throw new ArgumentException($"unknown command '{command.Text("cmd")}'");
        }
    }

    /// <summary>url; protocol (json, newtonsoft, messagepack); reconnect (delays in milliseconds); token; headers.</summary>
    private static HubConnection Build(JsonElement command)
    {
        var builder = new HubConnectionBuilder();
        builder.WithUrl(command.Text("url")!, options => Configure(options, command));
        switch (command.Text("protocol"))
        {
            case "newtonsoft":
                builder.AddNewtonsoftJsonProtocol();
                break;
            case "messagepack":
                builder.AddMessagePackProtocol();
                break;
        }
        if (command.TryGetProperty("reconnect", out var delays))
        {
            builder.WithAutomaticReconnect(delays.EnumerateArray().Select(ms => TimeSpan.FromMilliseconds(ms.GetDouble())).ToArray());
        }
        return builder.Build();
    }

    private static void Configure(HttpConnectionOptions options, JsonElement command)
    {
        if (command.TryGetProperty("headers", out var headers))
        {
            foreach (var header in headers.EnumerateObject())
            {
                options.Headers[header.Name] = header.Value.GetString()!;
            }
        }
        if (command.Text("token") is { } token)
        {
            options.AccessTokenProvider = () => Task.FromResult<string?>(token);
        }
    }

    private void Watch()
    {
        _hub.Closed += error => Event("closed", new { error = Describe.Exception(error) });
        _hub.Reconnecting += error => Event("reconnecting", new { error = Describe.Exception(error) });
        _hub.Reconnected += id => Event("reconnected", new { connectionId = id });
    }

    private Task Event(string kind, object detail)
    {
        _output.Write(new { @event = kind, conn = _name, detail });
        return Task.CompletedTask;
    }

    private object State() => new { state = _hub.State.ToString(), connectionId = _hub.ConnectionId };

    private void AddHandler(string method, Type[] types) =>
        _hub.On(method, types, (arguments, _) => Event("call", new { method, args = arguments.Select(Describe.Value) }), new object());

    private async Task<object?> Invoke(JsonElement command)
    {
        // Without a result type this is what the InvokeAsync overloads without a result do.
        var type = command.Text("result") is { } name ? Values.Type(name) : typeof(object);
        var result = await _hub.InvokeCoreAsync(command.Text("target")!, type, command.Arguments());
        return Describe.Value(result);
    }
}
