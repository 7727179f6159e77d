"""Defines the options of the gateway, and reads them from a file."""
