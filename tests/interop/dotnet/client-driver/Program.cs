// Drives the real .NET SignalR client from a script: one JSON command a line on standard input, one JSON event a
// line on standard output. Commands run side by side; each ends with exactly one "reply" event.
//
//   {"cmd":"build", …}   makes connection "conn" (default "c"): see Connection.Build for its fields
//   {"cmd":"exit"}       or the end of the input ends the program
//   anything else        is a command of that connection: see Connection.Run

using System.Text.Json;

namespace SignalRDriver;

internal static class Program
{
    private static async Task Main()
    {
        var output = new Output(Console.OpenStandardOutput());
        var connections = new Dictionary<string, Connection>();
        output.Write(new { @event = "ready" });

        while (await Console.In.ReadLineAsync() is { } line)
        {
            var command = JsonDocument.Parse(line).RootElement;
            var name = command.Text("conn") ?? "c";
            switch (command.Text("cmd"))
            {
                case "exit":
                    return;
                case "build":
                    _ = Answer(output, command, () =>
                    {
                        connections[name] = new Connection(name, command, output);
                        return Task.FromResult<object?>(null);
                    });
                    break;
                default:
                    _ = Answer(output, command, () => connections[name].Run(command));
                    break;
            }
        }
    }

    private static async Task Answer(Output output, JsonElement command, Func<Task<object?>> work)
    {
        var id = command.GetProperty("id").GetInt32();
        try
        {
            var result = await work();
            output.Write(new { @event = "reply", id, ok = true, result });
        }
        catch (Exception error)
        {
            output.Write(new { @event = "reply", id, ok = false, error = Describe.Exception(error) });
        }
    }
}
