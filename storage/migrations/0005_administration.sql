-- Accounts that an admin has disabled, or deleted. A deleted one's row stays, without a name: its messages have a sender.
ALTER TABLE users ADD COLUMN disabled_at INTEGER;       -- null: not
ALTER TABLE users ADD COLUMN deleted_at  INTEGER;       -- null: not
CREATE INDEX users_admins ON users (is_admin) WHERE is_admin = 1;

-- With the sizes, so that what all files take is told without a look at their rows.
DROP INDEX attachments_by_message;
CREATE INDEX attachments_by_message ON attachments (message_id, position, size) WHERE message_id IS NOT NULL;
