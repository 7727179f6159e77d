"""What is configured: hubs and routes as checked data."""
