"""Supervised connections to the downstream hubs."""
