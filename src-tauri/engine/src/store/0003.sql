-- Packages of the agent that the lab has signed; `program` marks the engine's own file that one was made of.
CREATE TABLE software (
    version TEXT NOT NULL, arch TEXT NOT NULL, bytes INTEGER NOT NULL, sha256 TEXT NOT NULL UNIQUE,
    made_at INTEGER NOT NULL, program TEXT,
    PRIMARY KEY (version, arch)
) WITHOUT ROWID;

CREATE INDEX job_item_node ON job_item (node);
