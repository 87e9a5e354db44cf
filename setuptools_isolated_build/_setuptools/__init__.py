"""What is known of setuptools' inside, and the two places in which it is patched."""
