// The console page: shows hubs and routes, receives events from the gateway hub, sends calls.
// All received data is inserted into the page as text, never as markup.
"use strict";

const RECORD_SEPARATOR = "\u001e"; // ends every SignalR JSON message
const PING = `{"type":6}${RECORD_SEPARATOR}`;
const PING_INTERVAL = 15_000;
const SERVER_TIMEOUT = 30_000;
const STATUS_INTERVAL = 2_000;
const MAXIMUM_EVENTS = 200; // on the page, and items of a stream
const MAXIMUM_TEXT = 100_000; // characters of items on the page
const PROBLEM = "application/problem+json";
const EVENT_STREAM = "text/event-stream";
const PROBLEM_EVENT = "event: problem\n";
const DATA = "data: ";

const byId = (id) => document.getElementById(id);

function element(name, text = "", attributes = {}) {
  const made = document.createElement(name);
  made.textContent = text;
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

// --- the gateway hub: a SignalR client that only receives ---------------------------------------

class HubListener {
  // A WebSocket without negotiation: handshake, pings, and the invocations the hub sends.
  constructor(url, { onState, onInvocation }) {
    this.url = url;
    this.onState = onState;
    this.onInvocation = onInvocation;
    this.failures = 0;
    this.connect("connecting");
  }

  connect(state) {
    this.onState(state);
    this.ready = false;
    this.rest = "";
    const socket = new WebSocket(this.url);
    this.socket = socket;
    socket.onopen = () => socket.send(`{"protocol":"json","version":1}${RECORD_SEPARATOR}`);
    socket.onmessage = (message) => socket === this.socket && this.receive(message.data);
    socket.onclose = () => this.lost(socket);
    this.heard();
  }

  receive(data) {
    this.heard();
    const records = (this.rest + data).split(RECORD_SEPARATOR);
    this.rest = records.pop();
    for (const record of records) this.handle(record, JSON.parse(record));
  }

  handle(record, message) {
    if (!this.ready) {
      if (message.error) return this.socket.close();
      this.ready = true;
      this.failures = 0;
      this.pings = setInterval(() => this.socket.send(PING), PING_INTERVAL);
      this.onState("connected");
    } else if (message.type === 1) {
      this.onInvocation(message.target, argumentsText(record, message));
    } else if (message.type === 7) {
      this.socket.close();
    }
  }

  heard() {
    clearTimeout(this.silence);
    this.silence = setTimeout(() => this.lost(this.socket), SERVER_TIMEOUT);
  }

  lost(socket) {
    if (socket !== this.socket) return; // an earlier socket
    this.stop();
    this.onState("reconnecting");
    const delay = Math.min(10_000, 500 * 2 ** this.failures++) * (0.5 + Math.random() / 2);
    this.retry = setTimeout(() => this.connect("reconnecting"), delay);
  }

  stop() {
    const socket = this.socket;
    this.socket = null;
    clearTimeout(this.retry);
    clearTimeout(this.silence);
    clearInterval(this.pings);
    socket?.close();
  }
}

// The JSON text of the arguments as received. Parsing it and writing it again would turn 0.10 into 0.1.
function argumentsText(record, message) {
  const start = record.indexOf('"arguments":') + '"arguments":'.length;
  const text = record.slice(start, -1);
  try {
    JSON.parse(text);
    return text;
  } catch {
    return JSON.stringify(message.arguments);
  }
}

// The two states that the page shows: that of the gateway, and that of the connection to the gateway hub.
let gatewayState = "serving"; // or stopping, unreachable, refused
let listenerState = "connecting"; // or connected, reconnecting, off

const STATE_TEXTS = {
  connected: "listening",
  off: "gateway hub off",
  stopping: "gateway stopping",
  unreachable: "gateway not reachable",
  refused: "key needed",
};

function showConnectionState() {
  const state = gatewayState === "serving" ? listenerState : gatewayState;
  const shown = byId("connection-state");
  shown.dataset.state = state;
  shown.textContent = STATE_TEXTS[state] ?? state;
}

function onListenerState(state) {
  listenerState = state;
  showConnectionState();
  if (state !== "connecting") pollStatus(); // the number of clients has changed, or the gateway has stopped
}

function showEvent(target, text) {
  const now = new Date();
  const routes = routesOf(target).join(" or ");
  const item = element("li", "", { "data-target": target, "data-routes": routes });
  item.append(
    element("time", now.toLocaleTimeString(), { datetime: now.toISOString() }),
    element("span", routes, { class: "route" }),
    element("strong", target),
    element("code", text),
  );
  const events = byId("events");
  events.prepend(item);
  while (events.children.length > MAXIMUM_EVENTS) events.lastElementChild.remove();
  byId("events-empty").hidden = true;
}

// The hubs and routes that may have sent an event; several if hubs use the same name for their events.
function routesOf(target) {
  const found = (hub) => hub.routes.filter((route) => route.receiveMethod === target && route.broadcastType === "All");
  return lastHubs.flatMap((hub) => found(hub).map((route) => `${hub.api} / ${route.key}`));
}

function clearEvents() {
  byId("events").replaceChildren();
  byId("events-empty").hidden = false;
}

byId("events-clear").addEventListener("click", clearEvents);

// --- hubs and routes ---------------------------------------------------------------------------

let lastHubs = []; // as the gateway reported them

function hubCard(hub) {
  const card = element("article", "", { class: "hub", "data-api": hub.api, "data-state": hub.state });
  const head = element("div", "", { class: "hub-head" });
  head.append(
    element("h3", hub.api),
    element("span", hub.state, { class: "pill", "data-state": hub.state }),
    element("span", `since ${new Date(hub.since).toLocaleString()}`, { class: "since" }),
  );
  card.append(head);
  if (hub.lastError) card.append(element("p", hub.lastError, { class: "hub-error" }));
  card.append(routeTable(hub.routes));
  const { forwarded, misfit, unrouted, unwritable } = hub.events;
  const lost = unwritable ? `, ${unwritable} not sent to some clients` : "";
  const counts = `${forwarded} events forwarded, ${misfit} that did not fit, ${unrouted} without a route${lost}`;
  card.append(element("p", counts, { class: "hub-counts" }));
  return card;
}

function routeTable(routes) {
  const table = element("table");
  const head = element("tr");
  for (const title of ["Route", "Calls", "Receives", "For"]) {
    head.append(element("th", title, { scope: "col" }));
  }
  table.append(element("thead"), element("tbody"));
  table.tHead.append(head);
  for (const route of routes) {
    const row = element("tr", "", { "data-key": route.key });
    row.append(
      cell("Route", route.key),
      cell("Calls", route.invokeMethod && route.invokeMethod + (route.streams ? ", streams" : "")),
      cell("Receives", route.receiveMethod && `${route.receiveMethod}(${parameters(route)})`),
      cell("For", route.receiveMethod && audience(route)),
    );
    table.tBodies[0].append(row);
  }
  return table;
}

function cell(label, text) {
  const made = element("td", "", text ? { "data-label": label } : { "data-label": label, class: "none" });
  made.append(element("span", text || "–"));
  return made;
}

function parameters(route) {
  return route.receiveParameterTypes === null ? "…" : route.receiveParameterTypes.join(", ");
}

function audience(route) {
  const who = { All: "everyone", Group: `group ${route.receiveGroup}`, Individual: "subscribers" };
  return who[route.broadcastType] + (route.spread ? ", spread" : "");
}

// Only changed parts are rebuilt, so that text on the page stays selected.
let shownHubs = "";
let shownRoutes = "";

function showStatus(status) {
  lastHubs = status.hubs;
  byId("clients").textContent = `${status.clients} client${status.clients === 1 ? "" : "s"}`;
  byId("about").textContent = `signalr-gateway ${status.version}`;
  byId("hubs-stale").hidden = true;
  showHubs(status.hubs);
  showRoutes(status.hubs);
}

function showHubs(hubs) {
  const text = JSON.stringify(hubs);
  if (text === shownHubs) return;
  shownHubs = text;
  byId("hubs").replaceChildren(...hubs.map(hubCard));
}

// Called when the gateway does not answer: the number of clients and the states of the hubs are unknown.
function showStale() {
  byId("clients").textContent = "–";
  if (byId("hubs-stale").hidden) {
    byId("hubs-stale").hidden = false;
    byId("hubs-stale").textContent = `No answer from the gateway since ${new Date().toLocaleTimeString()}.`;
  }
  showHubs(lastHubs.map((hub) => ({ ...hub, state: "unknown", lastError: null })));
}

let callable = {}; // the routes that take calls, by the value of their option

function showRoutes(hubs) {
  const found = hubs.flatMap((hub) =>
    hub.routes.filter((route) => route.invokeMethod).map((route) => ({ api: hub.api, ...route })),
  );
  const routes = JSON.stringify(found);
  if (routes === shownRoutes) return;
  shownRoutes = routes;
  callable = Object.fromEntries(found.map((route) => [callPath(route), route]));
  const select = byId("invoke-route");
  const chosen = select.value;
  select.replaceChildren(
    ...Object.entries(callable).map(([value, { api, key, invokeMethod }]) =>
      element("option", `${api} / ${key} → ${invokeMethod}`, { value }),
    ),
  );
  if (chosen in callable) select.value = chosen;
  byId("invoke-send").disabled = found.length === 0;
  showRoute();
}

const callPath = ({ api, key }) => `${encodeURIComponent(api)}/${encodeURIComponent(key)}`;

let listener = null;
let nextPoll = 0;

// Another key has another owner, who may see and do other things.
const credentials = new Credentials(() => {
  forgetAnswers();
  pollStatus();
});

function forgetAnswers() {
  listener?.stop();
  listener = null;
  listenerState = "connecting";
  clearEvents();
  byId("invoke-result").hidden = true;
  byId("clients").textContent = "–";
  lastHubs = [];
  showHubs(lastHubs);
  showRoutes(lastHubs);
}

let lastPoll = 0;

async function pollStatus() {
  clearTimeout(nextPoll);
  nextPoll = setTimeout(pollStatus, STATUS_INTERVAL);
  const poll = ++lastPoll;
  try {
    const answer = await fetch("console/status.json", { cache: "no-store", headers: credentials.headers });
    const body = answer.status === 503 ? null : await answer.json();
    if (poll !== lastPoll) return; // a later poll is under way, perhaps with another key
    if (answer.status === 401 || answer.status === 403) {
      clearTimeout(nextPoll); // until the page has another key
      gatewayState = "refused";
      forgetAnswers();
      credentials.onRefusal(answer.status, body.detail);
    } else if (answer.status === 503) {
      gatewayState = "stopping";
    } else if (answer.ok) {
      const status = body;
      gatewayState = "serving";
      showStatus(status);
      credentials.onStatus(status);
      if (status.gatewayHub === null) listenerState = "off";
      else listener ??= new HubListener(hubAddress(status.gatewayHub), { onState: onListenerState, onInvocation: showEvent });
    } else {
      throw new Error(`status ${answer.status}`);
    }
  } catch {
    if (poll !== lastPoll) return;
    gatewayState = "unreachable";
    showStale();
  }
  showConnectionState();
}

// The page is at the root of the gateway, which may have a prefix before it.
function hubAddress(path) {
  const address = new URL(`.${path}`, document.baseURI);
  address.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  return address.href + credentials.query;
}

// --- calling a hub -----------------------------------------------------------------------------

const address = () => new URL(`api/Gateway/hub/${byId("invoke-route").value}`, document.baseURI);

let suggested = byId("invoke-body").value; // the last text that the page has put into the form

function showRoute() {
  const route = callable[byId("invoke-route").value];
  byId("invoke-address").textContent = route ? `POST ${address().pathname}` : "";
  const examples = route?.examples ?? [];
  byId("invoke-example").replaceChildren(
    ...examples.map((example, index) => element("option", shortened(example), { value: index })),
  );
  byId("invoke-examples").hidden = examples.length < 2;
  if (byId("invoke-body").value === suggested) suggest(examples[0] ?? "[]"); // else it has been edited
}

function suggest(text) {
  suggested = text;
  byId("invoke-body").value = text;
}

const shortened = (text) => (text.length > 60 ? `${text.slice(0, 59)}…` : text);

byId("invoke-route").addEventListener("change", showRoute);
byId("invoke-example").addEventListener("change", () => {
  suggest(callable[byId("invoke-route").value].examples[byId("invoke-example").value]);
});

byId("invoke-form").addEventListener("submit", async (submit) => {
  submit.preventDefault();
  const send = byId("invoke-send");
  const stop = byId("invoke-stop");
  const streams = callable[byId("invoke-route").value].streams;
  const aborter = new AbortController();
  const headers = { "Content-Type": "application/json", ...credentials.headers };
  if (streams) headers.Accept = EVENT_STREAM; // its problems are marked, unlike those among lines
  send.disabled = true;
  stop.hidden = !streams;
  stop.onclick = () => aborter.abort();
  const started = performance.now();
  const time = () => `${Math.round(performance.now() - started)} ms`;
  try {
    const request = { method: "POST", headers, body: byId("invoke-body").value, signal: aborter.signal };
    const answer = await fetch(address(), request);
    const [mediaType] = (answer.headers.get("Content-Type") ?? "").split(";"); // a proxy may add a charset
    if (mediaType === EVENT_STREAM) {
      await new StreamView(answer, time).read(aborter.signal);
    } else {
      showResult(answer, time(), readable(await answer.text(), mediaType), answer.ok);
    }
  } catch {
    const line = aborter.signal.aborted ? "Stopped before the first item." : "The gateway could not be reached.";
    showResult({ status: 0 }, line, "", false);
  } finally {
    send.disabled = false;
    stop.hidden = true;
    pollStatus();
  }
});

// The answer of a route that streams. Shows each item when it comes, as the hub wrote it, and keeps the last ones.
class StreamView {
  constructor(answer, time) {
    this.answer = answer;
    this.time = time;
    this.count = 0;
    this.items = [];
    this.size = 0;
    this.problem = "";
  }

  // Reads until the stream ends or fails, or `signal` stops it.
  async read(signal) {
    const reader = this.answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    try {
      this.show(`${this.number()} so far`, true);
      for (let part = await reader.read(); !part.done; part = await reader.read()) {
        const events = (rest + part.value).split("\n\n");
        rest = events.pop();
        for (const event of events) this.receive(event);
        this.show(`${this.number()} so far`, true);
      }
    } catch {
      const how = signal.aborted ? "stopped" : "cut off";
      return this.show(`${how} after ${this.number()}, ${this.time()}`, signal.aborted);
    }
    if (this.problem) this.show(`failed after ${this.number()}, ${this.time()}`, false);
    else this.show(`${this.number()}, ${this.time()}`, true);
  }

  receive(event) {
    const data = event.slice(event.indexOf(DATA) + DATA.length); // one line
    if (event.startsWith(PROBLEM_EVENT)) this.problem = readable(data, PROBLEM);
    else this.add(data);
  }

  add(item) {
    this.count += 1;
    this.items.push(item);
    this.size += item.length;
    while (this.items.length > MAXIMUM_EVENTS || (this.size > MAXIMUM_TEXT && this.items.length > 1)) {
      this.size -= this.items.shift().length;
    }
  }

  number() {
    return `${this.count} item${this.count === 1 ? "" : "s"}`;
  }

  show(line, ok) {
    const dropped = this.count - this.items.length;
    const head = dropped ? [`… ${dropped} before these`] : [];
    const text = [...head, ...this.items, ...(this.problem ? [this.problem] : [])].join("\n");
    showResult(this.answer, line, text, ok, this.count);
  }
}

// A problem comes from the gateway and may be reformatted; a hub's result is shown unchanged.
function readable(text, mediaType) {
  return mediaType === PROBLEM ? JSON.stringify(JSON.parse(text), null, 2) : text;
}

function showResult(answer, line, text, ok, items = "") {
  const result = byId("invoke-result");
  result.hidden = false;
  result.dataset.status = answer.status;
  result.dataset.items = items;
  result.dataset.ok = ok;
  byId("invoke-status").textContent = answer.status ? `${answer.status} ${answer.statusText}, ${line}` : line;
  const shown = byId("invoke-answer");
  const atEnd = shown.scrollTop + shown.clientHeight >= shown.scrollHeight - 1;
  shown.textContent = text;
  if (atEnd) shown.scrollTop = shown.scrollHeight;
}

byId("invoke-send").disabled = true;
pollStatus();
