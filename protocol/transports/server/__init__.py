"""The server's transports on aiohttp, and ``map_hub``."""
