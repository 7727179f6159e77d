"""Decides without I/O which hub method a call invokes, and which clients receive an event."""
