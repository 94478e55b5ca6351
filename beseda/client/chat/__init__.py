"""`beseda chat URL`: Beseda in a terminal. Only that command imports it."""
