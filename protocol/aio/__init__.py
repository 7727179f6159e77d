"""The asyncio parts that client and server share: interface of a transport, pump and timers.

Nothing here depends on HTTP: ``protocol.transports`` supplies the connections as ``Transport``
objects.
"""
