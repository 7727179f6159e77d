"""The asyncio layer: tasks, futures, queues and clocks around the sans-I/O core.

Knows no HTTP: connections come as ``Transport`` objects from ``protocol.transports``.
"""
