"""REST, over a real server."""
