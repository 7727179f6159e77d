using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;
using Newtonsoft.Json.Linq;

namespace SignalRDriver;

/// <summary>Writes events, one JSON object a line, from any thread.</summary>
internal sealed class Output(Stream stream)
{
    private static readonly JsonSerializerOptions Options = new()
    {
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
        MaxDepth = 256,
    };

    private readonly object _gate = new();

    public void Write(object value)
    {
        var line = JsonSerializer.SerializeToUtf8Bytes(value, Options);
        lock (_gate)
        {
            stream.Write(line);
            stream.WriteByte((byte)'\n');
            stream.Flush();
        }
    }
}

/// <summary>Turns what a client hands to its user into something comparable.</summary>
internal static class Describe
{
    public static object? Exception(Exception? error) =>
        error is null ? null : new { type = error.GetType().Name, message = error.Message };

    public static Described Value(object? value) => value switch
    {
        null => new(null, null),
        JsonElement element => new(nameof(JsonElement), element.GetRawText()),
        JToken token => new(token.GetType().Name, token.ToString(Newtonsoft.Json.Formatting.None)),
        _ => new(value.GetType().Name, Writable(value)),
    };

    /// <summary>What MessagePack makes of a map has keys of any type.</summary>
    private static object? Writable(object? value) => value switch
    {
        Dictionary<object, object?> map => map.ToDictionary(entry => entry.Key.ToString()!, entry => Writable(entry.Value)),
        object?[] items => items.Select(Writable).ToList(),
        _ => value,
    };
}

/// <summary>The .NET type a value had, and the value; of JSON the text as it was received.</summary>
internal sealed record Described(
    [property: JsonPropertyName("type")] string? Type,
    [property: JsonPropertyName("value")] object? Value);
