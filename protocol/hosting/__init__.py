"""The decisions of an HTTP host of hubs, on plain data: a request in, an answer or an action out.

The package imports neither aiohttp nor asyncio, so that hosts on any HTTP server can share it. The
host on aiohttp is in ``protocol.transports.server``.
"""
