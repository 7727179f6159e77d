"""Reads payloads into declared types and writes values: the part that both hub protocols share."""
