// Drives the official JavaScript client in Node, by the same JSON lines as the .NET driver: one command a line on
// standard input, one event a line on standard output, one "reply" event per command.

import readline from "node:readline";
import * as signalR from "@microsoft/signalr";
import { MessagePackHubProtocol } from "@microsoft/signalr-protocol-msgpack";
import { driver } from "./connections.mjs";

const protocols = { json: signalR.JsonHubProtocol, messagepack: MessagePackHubProtocol };
const drive = driver(signalR, protocols, (line) => process.stdout.write(line + "\n"));
for await (const line of readline.createInterface({ input: process.stdin })) {
    if (JSON.parse(line).cmd === "exit") {
        break;
    }
    void drive(line);
}
process.exit(0);
