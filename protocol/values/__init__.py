"""Reading payloads into declared types and writing values, as far as both hub protocols agree."""
