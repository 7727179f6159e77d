// The commands of the .NET driver, understood over the official JavaScript client; in Node and in a page.

const describeError = (error) => (error ? { type: error.name, message: error.message } : null);
const writable = (value) => (value instanceof Uint8Array ? { bytes: [...value] } : value ?? null);
const describeValue = (value) => ({ type: value === null ? null : typeof value, value: writable(value) });

/** One HubConnection, the commands on it, and the events it raises. */
class Connection {
    constructor(signalR, protocols, command, write) {
        const options = {
            headers: command.headers,
            accessTokenFactory: command.token && (() => command.token),
            transport: signalR.HttpTransportType[command.transports],
        };
        const builder = new signalR.HubConnectionBuilder()
            .withUrl(command.url, options)
            .configureLogging(signalR.LogLevel.None);
        const protocol = command.protocol ?? "json";
        if (!(protocol in protocols)) {
            throw new Error(`this client has no protocol '${protocol}'`);
        }
        builder.withHubProtocol(new protocols[protocol]());
        if (command.reconnect) {
            builder.withAutomaticReconnect(command.reconnect);
        }
        if (command.stateful) {
            builder.withStatefulReconnect({ bufferSize: command.stateful });
        }
        this.hub = builder.build();
        this.hub.keepAliveIntervalInMilliseconds = command.keepAlive ?? this.hub.keepAliveIntervalInMilliseconds;
        this.hub.serverTimeoutInMilliseconds = command.serverTimeout ?? this.hub.serverTimeoutInMilliseconds;
        const event = (kind, detail) => write({ event: kind, conn: command.conn ?? "c", detail });
        this.event = event;
        this.newSubject = () => new signalR.Subject();
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
                this.hub.on(command.method, this.handler(command));
                return null;
            case "invoke":
                return describeValue(await this.upload(command, (...args) => this.hub.invoke(command.target, ...args)));
            case "stream":
                return await this.stream(command);
            case "tally":
                this.tally(command);
                return null;
            case "sendNumbers":
                for (let number = command.first; number < command.first + command.count; number++) {
                    await this.hub.send(command.target, number);
                }
                return null;
            case "send":
                await this.hub.send(command.target, ...command.args);
                return null;
            default:
                throw new Error(`unknown command '${command.cmd}'`);
        }
    }

    handler(command) {
        if (!command.returns) {
            return (...args) => {
                this.event("call", { method: command.method, args: args.map(describeValue) });
            };
        }
        return () => {
            if (command.throws) {
                throw new Error(command.throws);
            }
            return command.result;
        };
    }

    /**
     * Registers a handler of the numbers 0, 1, 2, … The event "tallied" comes with the last one. It has the number of
     * calls so far, and the numbers that did not follow their predecessors.
     */
    tally(command) {
        let [received, next] = [0, 0];
        const strange = [];
        this.hub.on(command.method, (number) => {
            received++;
            if (number !== next) {
                strange.push(number);
            }
            next = number + 1;
            if (next === command.count) {
                this.event("tallied", { received, strange });
            }
        });
    }

    /** Calls with the arguments of the command, and behind them the stream of "upload". */
    upload(command, call) {
        if (!command.upload) {
            return call(...command.args);
        }
        const subject = this.newSubject();
        const called = call(...command.args, subject);
        command.upload.forEach((item) => subject.next(item));
        subject.complete();
        return called;
    }

    /** The items; after "take" of them the stream is cancelled. */
    stream(command) {
        return new Promise((resolve, reject) => {
            const items = [];
            const subscribe = (...args) => this.hub.stream(command.target, ...args).subscribe({
                next: (item) => {
                    items.push(describeValue(item));
                    if (items.length === command.take) {
                        subscription.dispose();
                        resolve(items);
                    }
                },
                complete: () => resolve(items),
                error: reject,
            });
            const subscription = this.upload(command, subscribe);
        });
    }
}

/**
 * A function that runs a command, given as JSON text, and writes its one "reply" event.
 * `protocols` are the classes of the hub protocols by name, `writeLine` gets each event as JSON text.
 */
export function driver(signalR, protocols, writeLine) {
    const connections = new Map();
    const write = (event) => writeLine(JSON.stringify(event));
    write({ event: "ready" });
    return async (line) => {
        const command = JSON.parse(line);
        try {
            const name = command.conn ?? "c";
            let result = null;
            if (command.cmd === "build") {
                connections.set(name, new Connection(signalR, protocols, command, write));
            } else {
                result = await connections.get(name).run(command);
            }
            write({ event: "reply", id: command.id, ok: true, result });
        } catch (error) {
            write({ event: "reply", id: command.id, ok: false, error: describeError(error) });
        }
    };
}
