-- Outside authorities, what each is trusted for, and what each has taken back.
CREATE TABLE authority (
    purpose TEXT PRIMARY KEY, imported_at INTEGER NOT NULL, chain TEXT NOT NULL, revocations TEXT, revocations_at INTEGER,
    previous TEXT, previous_revocations TEXT, previous_revocations_at INTEGER
) WITHOUT ROWID;

-- Client certificates of the lab's own authority.
CREATE TABLE client_certificate (
    id BLOB PRIMARY KEY, name TEXT NOT NULL, serial TEXT NOT NULL, created_at INTEGER NOT NULL, ends INTEGER NOT NULL,
    revoked_at INTEGER
);

CREATE TABLE job (
    id BLOB PRIMARY KEY, rev INTEGER NOT NULL, doc TEXT NOT NULL,
    kind TEXT AS (doc ->> '$.kind'),
    state TEXT AS (doc ->> '$.state'),
    created_at INTEGER AS (doc ->> '$.created_at')
);
CREATE INDEX job_rev ON job (rev);
CREATE INDEX job_created ON job (created_at);

-- What a job does with each node; `place` keeps the order in which they were given.
CREATE TABLE job_item (
    job BLOB NOT NULL, node BLOB NOT NULL, place INTEGER NOT NULL, doc TEXT NOT NULL,
    state TEXT AS (doc ->> '$.state'),
    PRIMARY KEY (job, node)
) WITHOUT ROWID;
CREATE INDEX job_item_place ON job_item (job, place);
