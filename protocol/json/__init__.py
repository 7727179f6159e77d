"""The JSON hub protocol."""
