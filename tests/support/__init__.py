"""What the tests share, above all a real server process, a REST helper and a WebSocket client."""
