"""The only modules of the library that know aiohttp: negotiate over HTTP, and the transports."""
