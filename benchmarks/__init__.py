"""Measurements, always as ratios against something well known in the same run.

``python -m benchmarks`` prints them; ``--guard`` fails when one is worse than it may be.
"""
