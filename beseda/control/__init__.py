"""Looking after a data folder from outside: through the control socket of its server, or directly where none runs."""
