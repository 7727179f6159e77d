"""The options of the gateway, defined once, and how a file sets them."""
