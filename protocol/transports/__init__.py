"""The only modules of the library that know aiohttp: hosts of hubs, clients, and the transports."""
