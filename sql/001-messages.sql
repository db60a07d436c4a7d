-- Schema 1: the messages of all channels, and what is known of the database.
--
-- messages  what POST stored, one row each.  id grows over all channels and
--           never comes back, deleted rows included (AUTOINCREMENT).  Times
--           are milliseconds since the epoch, UTC.  content may hold U+0000.
-- meta      epoch: 32 hexadecimal digits, made with the database; a restore
--           deletes the row, and the next start makes another.
--
-- PRAGMA user_version is the number of steps that were applied.

CREATE TABLE messages (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    app         INTEGER NOT NULL,
    channel     TEXT    NOT NULL,
    event       TEXT    NOT NULL,
    content     TEXT    NOT NULL,
    author      TEXT,
    created_at  INTEGER NOT NULL,
    updated_at  INTEGER NOT NULL
) STRICT;

-- Ends in the row's id, as every index of SQLite does: a page is one range.
CREATE INDEX messages_channel ON messages (app, channel);

CREATE TABLE meta (
    key         TEXT NOT NULL PRIMARY KEY,
    value       TEXT NOT NULL
) STRICT, WITHOUT ROWID;
