"""Decides what logs and answers may show, and how often."""
