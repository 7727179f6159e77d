"""Measures costs, and compares them with those of well-known programs: ``docs/benchmarks.md``."""
