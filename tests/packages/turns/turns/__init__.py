"""A package of the project turns."""
