"""The gateway hub, which clients connect to, and the fan-out of events to them."""
