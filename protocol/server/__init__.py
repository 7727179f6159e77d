"""The hub server on asyncio: hubs, their connections, and who is sent what."""
