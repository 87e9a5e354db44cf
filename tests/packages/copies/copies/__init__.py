"""A package of the project copies."""
