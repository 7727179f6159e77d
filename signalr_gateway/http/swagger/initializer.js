// Shows the gateway's document, and sends no request to other hosts.
"use strict";

SwaggerUIBundle({
  dom_id: "#swagger-ui",
  url: "v1/swagger.json",
  deepLinking: true,
  displayRequestDuration: true,
  validatorUrl: null, // by default, the document's address is sent to a validator on the internet
});
