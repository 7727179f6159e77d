"""What the gateway answers over HTTP: the API, problems, health, and pages."""
