-- Schema 3: idempotency keys of requests whose messages or events were stored.
--
-- keys  message is the id of the first one that the request stored; the rest of
--       its ids follow.  key is a digest of what tells the request from others.
--       created_at is when it was stored.  A row goes after some minutes, and
--       may outlive its message.  Ids grow, so rows are in the order of time.

CREATE TABLE keys (
    message     INTEGER PRIMARY KEY,
    key         BLOB    NOT NULL UNIQUE,
    created_at  INTEGER NOT NULL
) STRICT;
