"""What the messenger does: plain functions of a transaction, an actor and a command; and the rules they share."""
