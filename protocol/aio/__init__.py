"""What client and server share on asyncio: the interface of a transport, the pump, and timers.

Knows no HTTP: connections come as ``Transport`` objects from ``protocol.transports``.
"""
