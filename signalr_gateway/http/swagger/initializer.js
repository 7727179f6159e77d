// Shows the gateway's document, and sends no request to other hosts. The key of the form is in the memory of the page
// only: a reload forgets it, and nothing stores it.
"use strict";

const byId = (id) => document.getElementById(id);
let key = "";

const ui = SwaggerUIBundle({
  dom_id: "#swagger-ui",
  url: "v1/swagger.json",
  deepLinking: true,
  displayRequestDuration: true,
  validatorUrl: null, // by default, the document's address is sent to a validator on the internet
  requestInterceptor: (request) => {
    if (key) request.headers.Authorization ??= `Bearer ${key}`;
    return request;
  },
  responseInterceptor: (response) => {
    if (response.url === new URL("v1/swagger.json", location).href) onDocument(response);
    return response;
  },
});

// The form is shown if the gateway refuses to show its document, or knows credentials.
function onDocument({ ok, status, text }) {
  if (ok) {
    byId("key-form").hidden = JSON.parse(text).components.securitySchemes === undefined;
    byId("key-status").textContent = "";
  } else if (status === 401 || status === 403) {
    byId("key-form").hidden = false;
    byId("key-status").textContent = JSON.parse(text).detail;
  }
}

byId("key-form").addEventListener("submit", (submit) => {
  submit.preventDefault();
  key = byId("key-input").value.trim();
  byId("key-input").value = "";
  ui.specActions.download("v1/swagger.json");
});
