"""The client's transports on aiohttp, and ``HubConnectionBuilder``."""
