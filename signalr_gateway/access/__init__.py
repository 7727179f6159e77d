"""Finds the callers of requests, and decides what they may do."""
