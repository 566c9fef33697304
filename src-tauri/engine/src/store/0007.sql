-- Tenants of the cloud dialects, and the account that they all belong to there.
CREATE TABLE project (
    id BLOB PRIMARY KEY, name TEXT NOT NULL UNIQUE COLLATE NOCASE, description TEXT NOT NULL,
    is_default INTEGER NOT NULL, created_at INTEGER NOT NULL
);
INSERT INTO project VALUES (randomblob(16), 'default', '', 1, unixepoch() * 1000);
INSERT INTO meta VALUES ('domain', lower(hex(randomblob(16))));

-- Tokens of the cloud dialects, as hashes.
CREATE TABLE cloud_token (
    hash TEXT PRIMARY KEY, user BLOB NOT NULL, project BLOB NOT NULL, issued_at INTEGER NOT NULL, expires_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX cloud_token_user ON cloud_token (user, issued_at);
CREATE INDEX cloud_token_project ON cloud_token (project);

-- The secret of an access key is sealed with the key outside the database.
CREATE TABLE access_key (
    key TEXT PRIMARY KEY, user BLOB NOT NULL, project BLOB NOT NULL, description TEXT NOT NULL, sealed BLOB NOT NULL,
    created_at INTEGER NOT NULL
) WITHOUT ROWID;

-- Signatures of requests that change something: none is taken twice.
CREATE TABLE used_signature (place INTEGER PRIMARY KEY, signature BLOB NOT NULL UNIQUE, dated INTEGER NOT NULL);
CREATE INDEX used_signature_dated ON used_signature (dated);
