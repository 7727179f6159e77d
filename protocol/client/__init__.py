"""The client on asyncio: ``HubConnection``, its reconnects, and its handlers."""
