RED, GREEN, BLUE = "red", "green", "blue"
