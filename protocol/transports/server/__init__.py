"""The server's side of the transports, on aiohttp."""
