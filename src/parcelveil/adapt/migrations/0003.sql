-- Virtual numbers: which number a waybill's label shows. No phone is in here; the provider alone knows whom it reaches.
CREATE TABLE virtual_number (
    waybill_no TEXT PRIMARY KEY,
    bind_id TEXT NOT NULL,
    model TEXT NOT NULL,
    number TEXT NOT NULL,
    extension TEXT NOT NULL,
    bound_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    state TEXT NOT NULL,
    revision INTEGER NOT NULL,
    seal BLOB NOT NULL
) STRICT, WITHOUT ROWID;
