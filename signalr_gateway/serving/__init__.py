"""Creates the parts of a gateway, serves it and stops it."""
