"""A running gateway: how its parts are put together, served and stopped."""
