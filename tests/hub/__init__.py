"""The hub's tests: its rules with a clock of their own, and its sockets as clients see them."""
