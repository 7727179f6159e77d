// The API key or token that the page sends with its requests. It is in the memory of the page only: a reload
// forgets it, and nothing stores it.
"use strict";

const SENDABLE = /^[\x21-\x7e]*$/; // characters that a header can contain

class Credentials {
  #text = "";

  constructor(onChange) {
    this.onChange = onChange;
    const byId = (id) => document.getElementById(id);
    this.section = byId("key-section");
    this.input = byId("key-input");
    this.status = byId("key-status");
    this.forget = byId("key-forget");
    byId("key-form").addEventListener("submit", (submit) => {
      submit.preventDefault();
      this.use(this.input.value.trim());
    });
    this.forget.addEventListener("click", () => this.use(""));
  }

  get headers() {
    return this.#text ? { Authorization: `Bearer ${this.#text}` } : {};
  }

  // WebSockets of browsers have no headers, so the query contains the token.
  get query() {
    return this.#text ? `?access_token=${encodeURIComponent(this.#text)}` : "";
  }

  use(text) {
    this.input.value = "";
    if (!SENDABLE.test(text)) {
      this.show("This is not a key or a token: it contains a character that no header can contain.");
      return;
    }
    this.#text = text;
    this.forget.hidden = !text;
    this.onChange();
  }

  // Called with each status of the gateway.
  onStatus({ authentication, user }) {
    if (authentication) this.show(user === null ? "You use the gateway without a user." : `You are ${user}.`);
    this.section.hidden = !authentication;
  }

  // Called when the gateway refuses to show its status.
  onRefusal(status, detail) {
    if (status === 403) this.show(detail);
    else if (this.#text) this.show("The gateway does not accept this key or token.");
    else this.show("This gateway needs an API key or a token.");
  }

  show(text) {
    this.section.hidden = false;
    this.status.textContent = text;
  }
}
