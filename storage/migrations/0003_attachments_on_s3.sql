-- Attachments may lie on S3: unsent ones under a temporary key, sent ones under a fresh one, in `key`.
ALTER TABLE attachments ADD COLUMN upload_key  TEXT;    -- where its bytes are put until it is sent; null in the local store
ALTER TABLE attachments ADD COLUMN served_type TEXT;    -- on S3: what its first bytes allow it to be served as
ALTER TABLE attachments ADD COLUMN is_inline   INTEGER; -- on S3: whether a browser may show it
