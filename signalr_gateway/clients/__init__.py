"""The gateway hub, to which clients connect, and the fan-out of events to these clients."""
