"""How finished things get to where others look: archives, and link trees in use."""
