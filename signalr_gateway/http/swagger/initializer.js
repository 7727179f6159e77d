// Shows the gateway's own document, and nothing that would ask a third party.
"use strict";

SwaggerUIBundle({
  dom_id: "#swagger-ui",
  url: "v1/swagger.json",
  deepLinking: true,
  displayRequestDuration: true,
  validatorUrl: null, // else the document's address would go to a validator on the internet
});
