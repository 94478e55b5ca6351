-- The log's latest event when one of the member's cursors last moved: who comes back is told what moved since.
ALTER TABLE members ADD COLUMN moved_event_id INTEGER NOT NULL DEFAULT 0;
