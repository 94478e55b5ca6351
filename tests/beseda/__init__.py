"""How the server is started, told what to do, and stopped."""
