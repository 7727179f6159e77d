"""The client's side of the transports, on aiohttp."""
