"""What the server owes under faults (the real thing, in a real server process)."""
