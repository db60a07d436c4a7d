-- Schema 4: webhooks.
--
-- webhook_events  what is to be sent, one row for each event and webhook; gone
--                 when it was delivered.  id grows and never comes back.
--                 webhook is the number of one in the table webhooks.
--                 created_at: ms since the epoch, when it happened.
--                 event: its JSON.
--                 batch: rows that were tried together have the id of the first
--                 of them, and stay together; 0: not tried yet.
--                 tries, and since when (tried_at), and when next (due_at).
--                 dead_at: given up then; 0: it is sent.  To have what was
--                 given up sent again: UPDATE webhook_events SET dead_at = 0
--                 error: why the last try failed.
-- webhook_state   what the receivers believe: occupied channels (user '') and
--                 members of presence channels.
-- webhooks        the URLs by their numbers.

CREATE TABLE webhook_events (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    app         INTEGER NOT NULL,
    webhook     INTEGER NOT NULL,
    created_at  INTEGER NOT NULL,
    event       TEXT    NOT NULL,
    batch       INTEGER NOT NULL DEFAULT 0,
    tries       INTEGER NOT NULL DEFAULT 0,
    tried_at    INTEGER NOT NULL DEFAULT 0,
    due_at      INTEGER NOT NULL DEFAULT 0,
    dead_at     INTEGER NOT NULL DEFAULT 0,
    error       TEXT
) STRICT;

-- Each ends in the row's id: what is to be sent next is the first of a range.
CREATE INDEX webhook_events_webhook ON webhook_events (webhook, dead_at);
CREATE INDEX webhook_events_batch ON webhook_events (batch) WHERE batch > 0;

CREATE TABLE webhook_state (
    app         INTEGER NOT NULL,
    channel     TEXT    NOT NULL,
    user        TEXT    NOT NULL,
    PRIMARY KEY (app, channel, user)
) STRICT, WITHOUT ROWID;

CREATE TABLE webhooks (
    id          INTEGER PRIMARY KEY,
    app         INTEGER NOT NULL,
    url         TEXT    NOT NULL
) STRICT;
