-- Times are milliseconds since the epoch. Ids of users, sessions and attachments are never given twice (AUTOINCREMENT);
-- those of conversations, messages and events count in the log, whose counter is kept.

CREATE TABLE log (
    name          TEXT    NOT NULL,             -- random, made with the database
    last_event_id INTEGER NOT NULL
) STRICT;

CREATE TABLE users (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    username     TEXT    NOT NULL,
    username_key TEXT    NOT NULL UNIQUE,       -- NFKC, without case
    email        TEXT    NOT NULL,
    email_key    TEXT    NOT NULL UNIQUE,
    password     TEXT    NOT NULL,              -- argon2id, in its own encoding
    is_admin     INTEGER NOT NULL,
    created_at   INTEGER NOT NULL,
    last_seen_at INTEGER
) STRICT;

CREATE TABLE sessions (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    user_id      INTEGER NOT NULL REFERENCES users (id),
    refresh_id   TEXT    NOT NULL,              -- the jti of its refresh token; never a token
    created_at   INTEGER NOT NULL,
    last_used_at INTEGER NOT NULL,
    expires_at   INTEGER NOT NULL,
    address      TEXT    NOT NULL,
    user_agent   TEXT    NOT NULL
) STRICT;
CREATE INDEX sessions_by_user ON sessions (user_id, id);
CREATE INDEX sessions_by_expiry ON sessions (expires_at);

CREATE TABLE conversations (
    id              INTEGER PRIMARY KEY,        -- the event that made it
    type            TEXT    NOT NULL,
    title           TEXT,
    dialog_key      TEXT    UNIQUE,             -- "low:high" of a dialog's two members
    created_at      INTEGER NOT NULL,
    created_by      INTEGER NOT NULL REFERENCES users (id),
    event_id        INTEGER NOT NULL,           -- its latest event
    last_seq        INTEGER NOT NULL DEFAULT 0,
    last_message_id INTEGER NOT NULL DEFAULT 0,
    member_count    INTEGER NOT NULL
) STRICT;

CREATE TABLE members (
    conversation_id INTEGER NOT NULL REFERENCES conversations (id),
    user_id         INTEGER NOT NULL REFERENCES users (id),
    role            TEXT    NOT NULL,
    joined_at       INTEGER NOT NULL,
    joined_event_id INTEGER NOT NULL,
    delivered_id    INTEGER NOT NULL,           -- cursors: a message's id, or 0
    read_id         INTEGER NOT NULL,
    PRIMARY KEY (conversation_id, user_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX members_by_user ON members (user_id, conversation_id);

-- Conversations that a user has left or was removed from: the last time of each.
CREATE TABLE departures (
    user_id         INTEGER NOT NULL,
    conversation_id INTEGER NOT NULL,
    event_id        INTEGER NOT NULL,
    PRIMARY KEY (user_id, conversation_id)
) STRICT, WITHOUT ROWID;

-- A message's id is its event's. The index answers history, unread counts and receipts without touching the rows.
CREATE TABLE messages (
    id               INTEGER PRIMARY KEY,
    conversation_id  INTEGER NOT NULL,
    seq              INTEGER NOT NULL,
    sender_id        INTEGER NOT NULL,
    created_at       INTEGER NOT NULL,
    attachment_count INTEGER NOT NULL,
    temp_id          TEXT,
    text             TEXT    NOT NULL
) STRICT;
CREATE INDEX messages_by_conversation ON messages (conversation_id, id, sender_id);
CREATE UNIQUE INDEX messages_by_temp_id ON messages (sender_id, temp_id) WHERE temp_id IS NOT NULL;

-- The events that are no message: each changed a conversation.
CREATE TABLE events (
    id              INTEGER PRIMARY KEY,
    conversation_id INTEGER NOT NULL
) STRICT;
CREATE INDEX events_by_conversation ON events (conversation_id, id);

CREATE TABLE attachments (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    uploader_id   INTEGER NOT NULL REFERENCES users (id),
    filename      TEXT    NOT NULL,
    content_type  TEXT    NOT NULL,
    declared_size INTEGER,                      -- bytes, as the presign was told
    created_at    INTEGER NOT NULL,
    key           TEXT,                         -- where the store has its bytes; null until they are uploaded
    size          INTEGER,
    message_id    INTEGER,                      -- null until it is sent
    position      INTEGER
) STRICT;
CREATE INDEX attachments_by_message ON attachments (message_id, position) WHERE message_id IS NOT NULL;
CREATE INDEX attachments_unsent ON attachments (uploader_id, created_at) WHERE message_id IS NULL;
CREATE INDEX attachments_unsent_by_age ON attachments (created_at) WHERE message_id IS NULL;
