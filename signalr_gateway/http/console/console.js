// The console page: shows hubs and routes, receives events from the gateway hub, sends calls.
// All received data is inserted into the page as text, never as markup.
"use strict";

const RECORD_SEPARATOR = "\u001e"; // ends every SignalR JSON message
const PING = `{"type":6}${RECORD_SEPARATOR}`;
const PING_INTERVAL = 15_000;
const SERVER_TIMEOUT = 30_000;
const STATUS_INTERVAL = 2_000;
const MAXIMUM_EVENTS = 200;

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
    socket.onmessage = (message) => this.receive(message.data);
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
    this.socket = null;
    clearTimeout(this.silence);
    clearInterval(this.pings);
    socket.close();
    this.onState("reconnecting");
    const delay = Math.min(10_000, 500 * 2 ** this.failures++) * (0.5 + Math.random() / 2);
    setTimeout(() => this.connect("reconnecting"), delay);
  }
}

// The arguments as the gateway wrote them: to parse and write them again would turn 0.10 into 0.1.
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

function showConnectionState(state) {
  const shown = byId("connection-state");
  shown.dataset.state = state;
  shown.textContent = { connected: "listening", off: "gateway hub off" }[state] ?? state;
  if (state === "connected") pollStatus(); // so that the number of clients includes this one
}

function showEvent(target, text) {
  const now = new Date();
  const item = element("li", "", { "data-target": target });
  item.append(
    element("time", now.toLocaleTimeString(), { datetime: now.toISOString() }),
    element("strong", target),
    element("code", text),
  );
  const events = byId("events");
  events.prepend(item);
  while (events.children.length > MAXIMUM_EVENTS) events.lastElementChild.remove();
  byId("events-empty").hidden = true;
}

byId("events-clear").addEventListener("click", () => {
  byId("events").replaceChildren();
  byId("events-empty").hidden = false;
});

// --- hubs and routes ---------------------------------------------------------------------------

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
      cell(route.key),
      cell(route.invokeMethod),
      cell(route.receiveMethod && `${route.receiveMethod}(${parameters(route)})`),
      cell(route.receiveMethod && audience(route)),
    );
    table.tBodies[0].append(row);
  }
  const frame = element("div", "", { class: "table", role: "region", "aria-label": "Routes", tabindex: "0" });
  frame.append(table);
  return frame;
}

function cell(text) {
  return text ? element("td", text) : element("td", "–", { class: "none" });
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
  byId("clients").textContent = `${status.clients} client${status.clients === 1 ? "" : "s"}`;
  byId("about").textContent = `signalr-gateway ${status.version}`;
  const hubs = JSON.stringify(status.hubs);
  if (hubs !== shownHubs) {
    shownHubs = hubs;
    byId("hubs").replaceChildren(...status.hubs.map(hubCard));
  }
  showRoutes(status.hubs);
}

function showRoutes(hubs) {
  const callable = hubs.flatMap((hub) =>
    hub.routes.filter((route) => route.invokeMethod).map((route) => ({ api: hub.api, ...route })),
  );
  const routes = JSON.stringify(callable.map(({ api, key, invokeMethod }) => [api, key, invokeMethod]));
  if (routes === shownRoutes) return;
  shownRoutes = routes;
  const select = byId("invoke-route");
  const chosen = select.value;
  select.replaceChildren(
    ...callable.map(({ api, key, invokeMethod }) =>
      element("option", `${api} / ${key} → ${invokeMethod}`, {
        value: `${encodeURIComponent(api)}/${encodeURIComponent(key)}`,
      }),
    ),
  );
  if ([...select.options].some((option) => option.value === chosen)) select.value = chosen;
  byId("invoke-send").disabled = callable.length === 0;
  showAddress();
}

let listener = null;
let nextPoll = 0;

async function pollStatus() {
  clearTimeout(nextPoll);
  nextPoll = setTimeout(pollStatus, STATUS_INTERVAL);
  try {
    const answer = await fetch("/console/status.json", { cache: "no-store" });
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    const status = await answer.json();
    showStatus(status);
    if (status.gatewayHub === null) showConnectionState("off");
    else listener ??= new HubListener(hubAddress(status.gatewayHub), { onState: showConnectionState, onInvocation: showEvent });
  } catch {
    if (listener === null) showConnectionState("reconnecting");
  }
}

function hubAddress(path) {
  const address = new URL(path, location.href);
  address.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  return address.href;
}

// --- calling a hub -----------------------------------------------------------------------------

const address = () => `/api/Gateway/hub/${byId("invoke-route").value}`;

function showAddress() {
  byId("invoke-address").textContent = byId("invoke-route").value ? `POST ${address()}` : "";
}

byId("invoke-route").addEventListener("change", showAddress);

byId("invoke-form").addEventListener("submit", async (submit) => {
  submit.preventDefault();
  const button = byId("invoke-send");
  button.disabled = true;
  const started = performance.now();
  try {
    const answer = await fetch(address(), {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: byId("invoke-body").value,
    });
    const text = readable(await answer.text(), answer.headers.get("Content-Type"));
    const took = Math.round(performance.now() - started);
    showResult(answer.status, `${answer.status} ${answer.statusText}, ${took} ms`, text, answer.ok);
  } catch {
    showResult(0, "The gateway could not be reached.", "", false);
  } finally {
    button.disabled = false;
    pollStatus();
  }
});

// A problem comes from the gateway and may be reformatted; a hub's result is shown unchanged.
function readable(text, contentType) {
  return contentType === "application/problem+json" ? JSON.stringify(JSON.parse(text), null, 2) : text;
}

function showResult(status, line, text, ok) {
  const result = byId("invoke-result");
  result.hidden = false;
  result.dataset.status = status;
  result.dataset.ok = ok;
  byId("invoke-status").textContent = line;
  byId("invoke-answer").textContent = text;
}

byId("invoke-send").disabled = true;
pollStatus();
