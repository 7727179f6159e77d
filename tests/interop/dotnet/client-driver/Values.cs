using System.Text.Json;

namespace SignalRDriver;

/// <summary>Reading of command fields, .NET types by short names, and argument values.</summary>
internal static class Values
{
    private static readonly Dictionary<string, Type> Names = new()
    {
        ["string"] = typeof(string),
        ["int"] = typeof(int),
        ["long"] = typeof(long),
        ["double"] = typeof(double),
        ["bool"] = typeof(bool),
        ["object"] = typeof(object),
        ["JsonElement"] = typeof(JsonElement),
    };

    public static Type Type(string name) =>
        Names.TryGetValue(name, out var type) ? type : throw new ArgumentException($"unknown type name '{name}'");

    public static Type[] Types(this JsonElement command, string field) =>
        command.GetProperty(field).EnumerateArray().Select(item => Type(item.GetString()!)).ToArray();

    public static string? Text(this JsonElement command, string field) =>
        command.TryGetProperty(field, out var value) ? value.GetString() : null;

    /// <summary>"args" as the values that a program would pass.</summary>
    public static object?[] Arguments(this JsonElement command) =>
        command.GetProperty("args").EnumerateArray().Select(Argument).ToArray();

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
