"""What client and server share on asyncio: the interface of a transport, the pump, and timers.

Nothing here depends on HTTP: ``protocol.transports`` supplies the connections as ``Transport``
objects.
"""
