-- Schema 2: events that the HTTP API triggered stand beside what POST stored.
--
-- kind  0: a message, posted; 1: an event, triggered, whose data is content.

ALTER TABLE messages ADD COLUMN kind INTEGER NOT NULL DEFAULT 0;
