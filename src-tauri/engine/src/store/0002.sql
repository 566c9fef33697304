-- Outside authorities, what each is trusted for, and what each has taken back.
CREATE TABLE authority (
    purpose TEXT PRIMARY KEY, imported_at INTEGER NOT NULL, chain TEXT NOT NULL, previous TEXT,
    revocations TEXT, revocations_at INTEGER
) WITHOUT ROWID;

-- Client certificates of the lab's own authority.
CREATE TABLE client_certificate (
    id BLOB PRIMARY KEY, name TEXT NOT NULL, serial TEXT NOT NULL, created_at INTEGER NOT NULL, ends INTEGER NOT NULL,
    revoked_at INTEGER
);
