-- State of a workspace. Everything secret in here is encrypted under a key-encryption key that is not in here.
CREATE TABLE setting (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE epoch (
    epoch INTEGER PRIMARY KEY,
    header BLOB NOT NULL,
    wrapped_key BLOB NOT NULL,
    state BLOB NOT NULL,
    erased INTEGER NOT NULL,
    destroyed_at TEXT NOT NULL
) STRICT;
CREATE TABLE pseudonym_key (
    purpose TEXT NOT NULL,
    period INTEGER NOT NULL,
    wrapped_key BLOB NOT NULL,
    destroyed_at TEXT NOT NULL,
    PRIMARY KEY (purpose, period)
) STRICT;
CREATE TABLE run (
    id INTEGER PRIMARY KEY,
    command TEXT NOT NULL,
    started_at TEXT NOT NULL,
    seconds REAL NOT NULL,
    "rows" INTEGER NOT NULL,
    "values" INTEGER NOT NULL,
    rejected INTEGER NOT NULL
) STRICT;
