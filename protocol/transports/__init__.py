"""The transports on aiohttp: the code that both sides use, and the packages of the two sides.

No other folder of the library imports aiohttp.
"""
