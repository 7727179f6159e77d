using System.Text.Json;

namespace SignalRDriver;

/// <summary>Reading of command fields, .NET types by short names, and argument values.</summary>
internal static class Values
{
    private static readonly Dictionary<string, Type> Names = new()
    {
        ["string"] = typeof(string),
        ["bool"] = typeof(bool),
        ["byte"] = typeof(byte),
        ["sbyte"] = typeof(sbyte),
        ["short"] = typeof(short),
        ["ushort"] = typeof(ushort),
        ["int"] = typeof(int),
        ["uint"] = typeof(uint),
        ["long"] = typeof(long),
        ["ulong"] = typeof(ulong),
        ["float"] = typeof(float),
        ["double"] = typeof(double),
        ["decimal"] = typeof(decimal),
        ["char"] = typeof(char),
        ["byte[]"] = typeof(byte[]),
        ["DateTime"] = typeof(DateTime),
        ["DateTimeOffset"] = typeof(DateTimeOffset),
        ["DateOnly"] = typeof(DateOnly),
        ["TimeOnly"] = typeof(TimeOnly),
        ["TimeSpan"] = typeof(TimeSpan),
        ["Guid"] = typeof(Guid),
        ["Color"] = typeof(Color),
        ["int?"] = typeof(int?),
        ["List<int>"] = typeof(List<int>),
        ["string[]"] = typeof(string[]),
        ["Dictionary<string,int>"] = typeof(Dictionary<string, int>),
        ["Dictionary<int,string>"] = typeof(Dictionary<int, string>),
        ["Person"] = typeof(Person),
        ["object"] = typeof(object),
        ["JsonElement"] = typeof(JsonElement),
    };

    public static Type Type(string name) =>
        Names.TryGetValue(name, out var type) ? type : throw new ArgumentException($"unknown type name '{name}'");

    public static Type[] Types(this JsonElement command, string field) =>
        command.GetProperty(field).EnumerateArray().Select(item => Type(item.GetString()!)).ToArray();

    public static string? Text(this JsonElement command, string field) =>
        command.TryGetProperty(field, out var value) ? value.GetString() : null;

    /// <summary>"args" as the values that a program would pass: of "types", or of the next best one.</summary>
    public static object?[] Arguments(this JsonElement command)
    {
        var values = command.GetProperty("args").EnumerateArray();
        return command.TryGetProperty("types", out _)
            ? values.Zip(command.Types("types"), (value, type) => value.Deserialize(type)).ToArray()
            : values.Select(Argument).ToArray();
    }

    private static object? Argument(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.String => value.GetString(),
        JsonValueKind.True => true,
        JsonValueKind.False => false,
        JsonValueKind.Null => null,
        JsonValueKind.Number => value.TryGetInt64(out var whole) ? (object)whole : value.GetDouble(),
        JsonValueKind.Array => value.EnumerateArray().Select(Argument).ToList(),
        _ => value.EnumerateObject().ToDictionary(item => item.Name, item => Argument(item.Value)),
    };
}

/// <summary>As the chat hub declares them.</summary>
public enum Color
{
    Red,
    DarkBlue = 10,
}

/// <summary>See Color.</summary>
public sealed record Person
{
    public string? FirstName { get; set; }
    public int Age { get; set; }
    public Color Favourite { get; set; }
    public Person? Friend { get; set; }
}
