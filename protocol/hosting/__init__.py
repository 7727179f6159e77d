"""What an HTTP host of hubs decides, as plain data: a request in, an answer or an action out.

Imports neither aiohttp nor asyncio, so that hosts on any server can share it.
``protocol.transports`` contains the host on aiohttp.
"""
