-- Refresh tokens may be replaced, so a session has a chain of them. The database keeps their `jti` and times, never a
-- token. A replaced one stands here for as long as it may still be answered with its successor; after that its return
-- is known by its not being here.
CREATE TABLE refresh_tokens (
    session_id INTEGER NOT NULL REFERENCES sessions (id),
    jti        TEXT    NOT NULL,
    issued_at  INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    used_at    INTEGER,                         -- the first time
    successor  TEXT,                            -- the jti that replaced it
    PRIMARY KEY (session_id, jti)
) STRICT, WITHOUT ROWID;
INSERT INTO refresh_tokens (session_id, jti, issued_at, expires_at, used_at)
    SELECT id, refresh_id, created_at, expires_at, last_used_at FROM sessions;
ALTER TABLE sessions DROP COLUMN refresh_id;

-- The latest event that changed the user; 0 for none.
ALTER TABLE users ADD COLUMN event_id INTEGER NOT NULL DEFAULT 0;
CREATE INDEX users_by_event ON users (event_id) WHERE event_id > 0;

-- Invitations that can still be used. Of the code only its SHA-256 is kept.
CREATE TABLE invites (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    code_hash  TEXT    NOT NULL UNIQUE,
    uses_left  INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    created_by INTEGER NOT NULL REFERENCES users (id),
    expires_at INTEGER                          -- null: never
) STRICT;
CREATE INDEX invites_by_expiry ON invites (expires_at) WHERE expires_at IS NOT NULL;
