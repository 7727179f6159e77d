"""The decisions of an HTTP host of hubs. A request as plain data leads to an answer or an action.

The package imports neither aiohttp nor asyncio, so that hosts on any HTTP server can share it. The
host on aiohttp is in ``protocol.transports.server``.
"""
