using System.Text.Json;
using System.Threading.Channels;
using Microsoft.AspNetCore.Http.Connections;
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

    /// <summary>start, stop, state; refresh (from version 11 on); on (method, types, returns?, result?, throws?); invoke (target, args, types?, upload?, result);
    /// stream (target, args, upload?, result, take?); send (target, args, types?); sendNumbers (target, first, count); tally (method, count).</summary>
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
#if SIGNALR11_OR_GREATER
            case "refresh":
                await _hub.RefreshAuthenticationAsync();
                return null;
#endif
            case "on":
                AddHandler(command);
                return null;
            case "invoke":
                return await Invoke(command);
            case "stream":
                return await Stream(command);
            case "tally":
                Tally(command);
                return null;
            case "sendNumbers":
                return await SendNumbers(command);
            case "send":
                await _hub.SendCoreAsync(command.Text("target")!, command.Arguments());
                return null;
            default:
                throw new ArgumentException($"unknown command '{command.Text("cmd")}'");
        }
    }

    /// <summary>url; transports (one or more names); protocol (json, newtonsoft, messagepack); reconnect (delays in
    /// milliseconds); stateful (bytes of the buffer); token, or tokens, of which each is used once and the last one from then on; headers.</summary>
    private static HubConnection Build(JsonElement command)
    {
        var builder = new HubConnectionBuilder();
        var transports = command.Text("transports") is { } names ? Enum.Parse<HttpTransportType>(names) : HttpTransports.All;
        builder.WithUrl(command.Text("url")!, transports, options => Configure(options, command));
        AddProtocol(builder, command.Text("protocol") ?? "json");
        if (command.TryGetProperty("reconnect", out var delays))
        {
#if ASPNETCORE2
            throw new NotSupportedException("this release does not reconnect");
#else
            builder.WithAutomaticReconnect(delays.EnumerateArray().Select(ms => TimeSpan.FromMilliseconds(ms.GetDouble())).ToArray());
#endif
        }
        AddStatefulReconnect(builder, command);
        return builder.Build();
    }

    private static void AddStatefulReconnect(HubConnectionBuilder builder, JsonElement command)
    {
        if (command.TryGetProperty("stateful", out var size))
        {
#if ASPNETCORE2
            throw new NotSupportedException("this release has no stateful reconnect");
#else
            builder.WithStatefulReconnect();
            builder.Services.Configure<HubConnectionOptions>(options => options.StatefulReconnectBufferSize = size.GetInt64());
#endif
        }
    }

    private static void AddProtocol(HubConnectionBuilder builder, string protocol)
    {
        switch (protocol)
        {
            case "json":
                break;
#if HAS_NEWTONSOFT
            case "newtonsoft":
                builder.AddNewtonsoftJsonProtocol();
                break;
#endif
#if HAS_MESSAGEPACK
            case "messagepack":
                builder.AddMessagePackProtocol();
                break;
#endif
            default:
                throw new NotSupportedException($"this release has no protocol '{protocol}'");
        }
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
        if (command.TryGetProperty("tokens", out var tokens))
        {
            var left = new Queue<string?>(tokens.EnumerateArray().Select(each => each.GetString()));
            options.AccessTokenProvider = () => Task.FromResult(left.Count > 1 ? left.Dequeue() : left.Peek());
        }
    }

    private void Watch()
    {
        _hub.Closed += error => Event("closed", new { error = Describe.Exception(error) });
#if !ASPNETCORE2
        _hub.Reconnecting += error => Event("reconnecting", new { error = Describe.Exception(error) });
        _hub.Reconnected += id => Event("reconnected", new { connectionId = id });
#endif
#if SIGNALR11_OR_GREATER
        _hub.AuthenticationRefreshed += context => Event("refreshed", new { lifetime = context.NewTokenLifetime?.TotalSeconds });
        _hub.AuthenticationRefreshFailed += context => Event("refreshFailed", new { error = Describe.Exception(context.Exception) });
#endif
    }

    private Task Event(string kind, object detail)
    {
        _output.Write(new { @event = kind, conn = _name, detail });
        return Task.CompletedTask;
    }

    private object State() =>
#if ASPNETCORE2
        new { state = (string?)null, connectionId = (string?)null }; // it does not tell
#else
        new { state = _hub.State.ToString(), connectionId = _hub.ConnectionId };
#endif

    private void AddHandler(JsonElement command)
    {
        var method = command.Text("method")!;
        var types = command.Types("types");
        if (command.Text("returns") is not { } returns)
        {
            _hub.On(method, types, (arguments, _) => Event("call", new { method, args = arguments.Select(Describe.Value) }), new object());
            return;
        }
#if ASPNETCORE2
        throw new NotSupportedException("handlers of this release return nothing");
#else
        var result = command.GetProperty("result").Deserialize(Values.Type(returns));
        Func<object?[], object, Task<object?>> answer = (_, _) =>
            command.Text("throws") is { } text ? throw new InvalidOperationException(text) : Task.FromResult(result);
        _hub.On(method, types, answer, new object());
#endif
    }

    /// <summary>Registers a handler of the numbers 0, 1, 2, … The event "tallied" comes with the last one. It has the number of
    /// calls so far, and the numbers that did not follow their predecessors.</summary>
    private void Tally(JsonElement command)
    {
        var method = command.Text("method")!;
        var (last, received, next, strange) = (command.GetProperty("count").GetInt32() - 1, 0, 0, new List<int>());
        _hub.On(method, [typeof(int)], (arguments, _) =>
        {
            var number = (int)arguments[0]!;
            received++;
            if (number != next)
            {
                strange.Add(number);
            }
            next = number + 1;
            return number == last ? Event("tallied", new { received, strange }) : Task.CompletedTask;
        }, new object());
    }

    /// <summary>Sends "count" consecutive numbers from "first" on, each in a message of its own.</summary>
    private async Task<object?> SendNumbers(JsonElement command)
    {
        var first = command.GetProperty("first").GetInt32();
        for (var number = first; number < first + command.GetProperty("count").GetInt32(); number++)
        {
            await _hub.SendCoreAsync(command.Text("target")!, [number]);
        }
        return null;
    }

    private async Task<object?> Invoke(JsonElement command)
    {
        // Without a result type this is what the InvokeAsync overloads without a result do.
        var type = command.Text("result") is { } name ? Values.Type(name) : typeof(object);
        var result = await _hub.InvokeCoreAsync(command.Text("target")!, type, Arguments(command));
        return Describe.Value(result);
    }

    /// <summary>The items; after "take" of them the stream is cancelled.</summary>
    private async Task<object?> Stream(JsonElement command)
    {
        using var cancellation = new CancellationTokenSource();
        var type = Values.Type(command.Text("result")!);
        var reader = await _hub.StreamAsChannelCoreAsync(command.Text("target")!, type, Arguments(command), cancellation.Token);
        var take = command.TryGetProperty("take", out var count) ? count.GetInt32() : int.MaxValue;
        var items = new List<object?>();
        while (items.Count < take && await reader.WaitToReadAsync())
        {
            while (items.Count < take && reader.TryRead(out var item))
            {
                items.Add(Describe.Value(item));
            }
        }
        cancellation.Cancel();
        if (items.Count < take)
        {
            await reader.Completion;
        }
        return items;
    }

    /// <summary>"args", and behind them the stream of "upload".</summary>
    private static object?[] Arguments(JsonElement command)
    {
        if (!command.TryGetProperty("upload", out var upload))
        {
            return command.Arguments();
        }
        var channel = Channel.CreateUnbounded<int>();
        foreach (var item in upload.EnumerateArray())
        {
            channel.Writer.TryWrite(item.GetInt32());
        }
        channel.Writer.Complete();
        return [.. command.Arguments(), channel.Reader];
    }
}
