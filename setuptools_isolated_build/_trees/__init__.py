"""Build trees: what is in one, who has it, which ones stay, how they are removed."""
