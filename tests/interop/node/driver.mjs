// Drives the official JavaScript client from a script, by the same JSON lines as the .NET driver:
// one command a line on standard input, one event a line on standard output, one "reply" event per command.

import readline from "node:readline";
import * as signalR from "@microsoft/signalr";
import { MessagePackHubProtocol } from "@microsoft/signalr-protocol-msgpack";

const write = (event) => process.stdout.write(JSON.stringify(event) + "\n");
const describeError = (error) => (error ? { type: error.name, message: error.message } : null);
const writable = (value) => (value instanceof Uint8Array ? { bytes: [...value] } : value ?? null);
const describeValue = (value) => ({ type: value === null ? null : typeof value, value: writable(value) });
const connections = new Map();

/** One HubConnection, the commands on it, and the events it raises. */
class Connection {
    constructor(command) {
        const builder = new signalR.HubConnectionBuilder()
            .withUrl(command.url, {
                headers: command.headers,
                accessTokenFactory: command.token && (() => command.token),
            })
            .configureLogging(signalR.LogLevel.None);
        if (command.protocol === "messagepack") {
            builder.withHubProtocol(new MessagePackHubProtocol());
        }
        if (command.reconnect) {
            builder.withAutomaticReconnect(command.reconnect);
        }
        this.hub = builder.build();
        const event = (kind, detail) => write({ event: kind, conn: command.conn ?? "c", detail });
        this.event = event;
        this.hub.onclose((error) => event("closed", { error: describeError(error) }));
        this.hub.onreconnecting((error) => event("reconnecting", { error: describeError(error) }));
        this.hub.onreconnected((connectionId) => event("reconnected", { connectionId }));
    }

    get state() {
        return { state: this.hub.state, connectionId: this.hub.connectionId };
    }

    async run(command) {
        switch (command.cmd) {
            case "start":
                await this.hub.start();
                return this.state;
            case "stop":
                await this.hub.stop();
                return this.state;
            case "state":
                return this.state;
            case "on":
                this.hub.on(command.method, (...args) => {
                    this.event("call", { method: command.method, args: args.map(describeValue) });
                });
                return null;
            case "invoke":
                return describeValue(await this.hub.invoke(command.target, ...command.args));
            case "send":
                await this.hub.send(command.target, ...command.args);
                return null;
            default:
                throw new Error(`unknown command '${command.cmd}'`);
        }
    }
}

async function answer(command) {
    try {
        const name = command.conn ?? "c";
        let result = null;
        if (command.cmd === "build") {
            connections.set(name, new Connection(command));
        } else {
            result = await connections.get(name).run(command);
        }
        write({ event: "reply", id: command.id, ok: true, result });
    } catch (error) {
        write({ event: "reply", id: command.id, ok: false, error: describeError(error) });
    }
}

write({ event: "ready" });
for await (const line of readline.createInterface({ input: process.stdin })) {
    const command = JSON.parse(line);
    if (command.cmd === "exit") {
        break;
    }
    void answer(command);
}
process.exit(0);
