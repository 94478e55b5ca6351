"""Load on a real server over real sockets, and what it costs."""
