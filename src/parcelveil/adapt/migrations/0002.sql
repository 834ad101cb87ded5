-- The audit log and the desk. Rows of log_group wait for the directory of tiles; a head stands for each signed checkpoint.
CREATE TABLE log_state (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    size INTEGER NOT NULL,
    frontier BLOB NOT NULL,
    checkpoint TEXT NOT NULL,
    published INTEGER NOT NULL,
    minimum INTEGER NOT NULL,
    time INTEGER NOT NULL,
    uptime INTEGER NOT NULL,
    boot TEXT NOT NULL,
    held INTEGER NOT NULL
) STRICT;
CREATE TABLE log_group (first INTEGER PRIMARY KEY, bundle BLOB NOT NULL) STRICT;
CREATE TABLE log_head (size INTEGER PRIMARY KEY, root BLOB NOT NULL) STRICT;
CREATE TABLE subject (
    entry INTEGER NOT NULL,
    place INTEGER NOT NULL,
    period INTEGER NOT NULL,
    token BLOB NOT NULL,
    sealed BLOB NOT NULL,
    PRIMARY KEY (entry, place)
) STRICT, WITHOUT ROWID;
-- Filled when entries are published: a look must not pay for a random place in a big index.
CREATE TABLE subject_token (
    token BLOB NOT NULL,
    entry INTEGER NOT NULL,
    place INTEGER NOT NULL,
    PRIMARY KEY (token, entry, place)
) STRICT, WITHOUT ROWID;
CREATE TABLE meter (day INTEGER PRIMARY KEY, drawn INTEGER NOT NULL) STRICT;
CREATE TABLE staff (
    handle TEXT PRIMARY KEY,
    number TEXT NOT NULL UNIQUE,
    roles TEXT NOT NULL,
    outlet TEXT NOT NULL,
    active INTEGER NOT NULL,
    seal BLOB NOT NULL
) STRICT;
CREATE TABLE device (device TEXT PRIMARY KEY, handle TEXT NOT NULL, key_sha256 BLOB NOT NULL, seal BLOB NOT NULL) STRICT;
CREATE TABLE policy (
    version INTEGER PRIMARY KEY,
    state TEXT NOT NULL,
    scenes TEXT NOT NULL,
    policy TEXT NOT NULL,
    schema TEXT NOT NULL,
    author TEXT NOT NULL,
    approver TEXT NOT NULL,
    seal BLOB NOT NULL
) STRICT;
CREATE TABLE quota (
    who TEXT NOT NULL,
    scene TEXT NOT NULL,
    day INTEGER NOT NULL,
    used INTEGER NOT NULL,
    PRIMARY KEY (who, scene, day)
) STRICT, WITHOUT ROWID;
CREATE TABLE quota_limit (
    who TEXT NOT NULL,
    scene TEXT NOT NULL,
    day INTEGER NOT NULL,
    waybills INTEGER NOT NULL,
    seal BLOB NOT NULL,
    PRIMARY KEY (who, scene, day)
) STRICT, WITHOUT ROWID;
CREATE TABLE approval (
    id TEXT PRIMARY KEY,
    state TEXT NOT NULL,
    scene TEXT NOT NULL,
    actor TEXT NOT NULL,
    device TEXT NOT NULL,
    waybills INTEGER NOT NULL,
    digest BLOB NOT NULL,
    until INTEGER NOT NULL,
    approver TEXT NOT NULL,
    seal BLOB NOT NULL
) STRICT;
