"""The command line ``signalr-gateway``: ``demo``, ``run`` and ``check``."""

from __future__ import annotations

from .command_line import main

__all__ = ["main"]
