"""The hub server on asyncio: hubs, their connections, and what is sent to which of them."""
