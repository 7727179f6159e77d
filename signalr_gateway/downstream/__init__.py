"""Keeps the connections to the downstream hubs, and makes calls on them."""
