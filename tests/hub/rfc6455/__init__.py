"""What RFC 6455 asks of a server, byte by byte. `test_sections.py` has the table of it."""
