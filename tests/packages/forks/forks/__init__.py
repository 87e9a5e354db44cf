"""A package of the project forks."""
