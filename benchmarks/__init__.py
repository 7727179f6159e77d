"""Costs, measured beside those of something well known: see ``docs/benchmarks.md``."""
