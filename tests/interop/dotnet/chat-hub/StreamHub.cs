using System;
using System.Collections.Generic;
using System.Runtime.CompilerServices;
using System.Threading;
using System.Threading.Tasks;
using Microsoft.AspNetCore.SignalR;

/// <summary>Streams in both directions, and questions to the caller.</summary>
public class StreamHub : Hub
{
    /// <summary>The numbers from 0 on.</summary>
    public async IAsyncEnumerable<int> Counter(int count)
    {
        for (var number = 0; number < count; number++)
        {
            await Task.Yield();
            yield return number;
        }
    }

    /// <summary>Numbers until it is cancelled, of which it leaves a line on standard output.</summary>
    public async IAsyncEnumerable<int> Endless(string name, [EnumeratorCancellation] CancellationToken token)
    {
        try
        {
            for (var number = 0; ; number++)
            {
                yield return number;
                await Task.Delay(1, token);
            }
        }
        finally
        {
            Console.WriteLine($"RECORDED {name}");
        }
    }

    /// <summary>One item, then an error.</summary>
    public async IAsyncEnumerable<string> Break()
    {
        yield return "one";
        await Task.Yield();
        throw new HubException("no more");
    }

    public async Task<int> Sum(IAsyncEnumerable<int> numbers)
    {
        var sum = 0;
        await foreach (var number in numbers)
        {
            sum += number;
        }
        return sum;
    }

    /// <summary>Takes one item of each at a time.</summary>
    public async Task<List<string>> Pairs(string separator, IAsyncEnumerable<int> numbers, IAsyncEnumerable<string> texts)
    {
        var pairs = new List<string>();
        await using var text = texts.GetAsyncEnumerator();
        await foreach (var number in numbers)
        {
            pairs.Add(number + separator + (await text.MoveNextAsync() ? text.Current : ""));
        }
        return pairs;
    }

    /// <summary>The error that a stream from the client ends with.</summary>
    public async Task<string> Failure(IAsyncEnumerable<int> numbers)
    {
        try
        {
            await foreach (var _ in numbers)
            {
            }
            return "none";
        }
        catch (Exception error)
        {
            return error.Message;
        }
    }

    /// <summary>The first item; the rest is not read.</summary>
    public async Task<int> First(IAsyncEnumerable<int> numbers)
    {
        await using var number = numbers.GetAsyncEnumerator();
        await number.MoveNextAsync();
        return number.Current;
    }

    public async IAsyncEnumerable<int> Doubled(IAsyncEnumerable<int> numbers)
    {
        await foreach (var number in numbers)
        {
            yield return number * 2;
        }
    }

    /// <summary>What the caller's handler returns, or the error that it answers with.</summary>
    public async Task<string> Ask(string target, object[] arguments)
    {
        try
        {
            return await Clients.Caller.InvokeCoreAsync<string>(target, arguments, Context.ConnectionAborted);
        }
        catch (HubException error)
        {
            return "error: " + error.Message;
        }
    }
}
