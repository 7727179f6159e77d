"""Answers HTTP requests: the API, problems, health, and pages."""
