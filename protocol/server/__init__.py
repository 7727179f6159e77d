"""The hub server on asyncio: hubs, their connections, and sends to clients."""
