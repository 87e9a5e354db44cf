"""What becomes of a build's compilations: the same bytes, and not twice the work."""
