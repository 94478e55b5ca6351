"""What docs/reliability.md promises, tried on a real server: each scenario prints its figures, or says what broke."""
