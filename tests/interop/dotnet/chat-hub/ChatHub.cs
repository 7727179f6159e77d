using System;
using System.Collections.Concurrent;
using System.Collections.Generic;
using System.Linq;
using System.Threading.Tasks;
using Microsoft.AspNetCore.SignalR;

public class Request
{
    public string Name { get; set; }
    public string Message { get; set; }
}

/// <summary>The hub of the gateway's documentation, with further methods to look at one thing each.</summary>
public class ChatHub : Hub
{
    /// <summary>The documentation's own method.</summary>
    public async Task SendMessage(Request request)
    {
        await base.Clients.All.SendAsync("ReceiveMessage", request.Name, request.Message);
    }

    public int Add(int a, int b) => a + b;

    public object Echo(object value) => value;

    public Person EchoPerson(Person person) => person;

    public string ConnectionId() => Context.ConnectionId;

    public Task Nothing() => Task.CompletedTask;

    public Task Throw() => throw new InvalidOperationException("plain secret");

    public Task ThrowHub() => throw new HubException("hub says no");

    /// <summary>Sends its argument back as an event, as it was understood.</summary>
    public Task Relay(object value) => Clients.All.SendAsync("ReceiveRelay", value);

    public async Task Burst(int count)
    {
        for (var number = 0; number < count; number++)
        {
            await Clients.All.SendAsync("ReceiveMessage", "burst", number.ToString());
        }
    }

    /// <summary>Sends events with consecutive numbers; half-way it holds by that name, unless it is empty.</summary>
    public async Task Count(int first, int count, string hold)
    {
        for (var number = 0; number < count; number++)
        {
            if (number == count / 2 && hold != "")
            {
                await Hold(hold);
            }
            await Clients.All.SendAsync("ReceiveNumber", first + number);
        }
    }

    /// <summary>Sends numbers to the caller.</summary>
    public async Task SendNumbers(int first, int count)
    {
        for (var number = first; number < first + count; number++)
        {
            await Clients.Caller.SendAsync("ReceiveNumber", number);
        }
    }

    /// <summary>Takes the numbers 0, 1, 2, … of one connection.</summary>
    public void Note(int number) => Numbers.Add(number);

    /// <summary>The number of calls of Note, and the numbers that did not follow their predecessors.</summary>
    public int[] Noted() => [Numbers.Count, .. Numbers.Where((number, place) => number != (place == 0 ? 0 : Numbers[place - 1] + 1))];

    private List<int> Numbers
    {
        get
        {
            if (!Context.Items.TryGetValue("numbers", out var numbers))
            {
                Context.Items["numbers"] = numbers = new List<int>();
            }
            return (List<int>)numbers;
        }
    }

    /// <summary>Tells the caller something after a while in which nobody says anything.</summary>
    public void Later(int milliseconds, string text)
    {
        var caller = Clients.Caller;
        _ = Task.Run(async () =>
        {
            await Task.Delay(milliseconds);
            await caller.SendAsync("ReceiveText", text);
        });
    }

    public Task SendToCaller(string text) => Clients.Caller.SendAsync("ReceiveText", text);

    public Task SendToOthers(string text) => Clients.Others.SendAsync("ReceiveText", text);

    public Task SendToUser(string user, string text) => Clients.User(user).SendAsync("ReceiveText", text);

    public Task SendToGroup(string group, string text) => Clients.Group(group).SendAsync("ReceiveText", text);

    public Task JoinGroup(string group) => Groups.AddToGroupAsync(Context.ConnectionId, group);

    public Task LeaveGroup(string group) => Groups.RemoveFromGroupAsync(Context.ConnectionId, group);

    /// <summary>Ends the caller's connection from this side.</summary>
    public void Abort() => Context.Abort();

    /// <summary>Leaves a line on standard output, so that an observer can count how often a call ran.</summary>
    public string Record(string text)
    {
        Console.WriteLine($"RECORDED {text}");
        return text;
    }

    /// <summary>Says that it runs, then waits until it is released by name.</summary>
    public async Task<string> Hold(string name)
    {
        var gate = Gates.Open(name);
        Console.WriteLine($"HOLDING {name}");
        await gate.WaitAsync(Context.ConnectionAborted);
        return name;
    }

    public override Task OnDisconnectedAsync(Exception exception)
    {
        Console.WriteLine($"DISCONNECTED {Context.ConnectionId}{(exception is null ? "" : " in error")}");
        return Task.CompletedTask;
    }
}

/// <summary>What <see cref="ChatHub.Hold"/> waits for, by name.</summary>
public static class Gates
{
    private static readonly ConcurrentDictionary<string, TaskCompletionSource> Waiting = new();

    public static Task Open(string name) =>
        Waiting.GetOrAdd(name, _ => new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)).Task;

    public static bool Release(string name) => Waiting.TryRemove(name, out var gate) && gate.TrySetResult();
}

/// <summary>A connection's user is what its X-User header says.</summary>
public class HeaderUserIdProvider : IUserIdProvider
{
    public string GetUserId(HubConnectionContext connection) => connection.GetHttpContext().Request.Headers["X-User"];
}
