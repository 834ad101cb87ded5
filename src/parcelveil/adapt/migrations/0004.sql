-- Watch: cases as the newest revision of each (JSON without personal data), what a webhook is still to be told, and the
-- blocks of numbers that decoys were planted in. Which of their numbers are decoys only the key says.
CREATE TABLE alert (
    uid TEXT PRIMARY KEY,
    revision INTEGER NOT NULL,
    state TEXT NOT NULL,
    severity TEXT NOT NULL,
    actor TEXT NOT NULL,
    opened_at INTEGER NOT NULL,
    body BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX alert_opened ON alert (opened_at);
CREATE TABLE delivery (
    id INTEGER PRIMARY KEY,
    target TEXT NOT NULL,
    idempotency_key TEXT NOT NULL,
    body BLOB NOT NULL,
    state TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    next_at INTEGER NOT NULL,
    why TEXT NOT NULL,
    UNIQUE (target, idempotency_key)
) STRICT;
CREATE INDEX delivery_due ON delivery (target, state, next_at);
CREATE TABLE decoy_block (
    letters TEXT NOT NULL,
    width INTEGER NOT NULL,
    tail TEXT NOT NULL,
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,
    rate REAL NOT NULL,
    key_id TEXT NOT NULL,
    planted_at INTEGER NOT NULL,
    PRIMARY KEY (letters, width, tail, first)
) STRICT, WITHOUT ROWID;
