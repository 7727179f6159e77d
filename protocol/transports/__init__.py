"""The transports on aiohttp. Code that both sides use is here; see also ``client`` and ``server``.

No other folder of the library imports aiohttp.
"""
