"""The transports on aiohttp: what both sides share is here, the rest in ``client`` and ``server``.

No other folder of the library imports aiohttp.
"""
