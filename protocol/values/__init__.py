"""Values: read into declared types, and written; what both hub protocols have in common."""
