-- Packages of the agent that the lab has signed; `program` marks the engine's own file that one was made of.
CREATE TABLE software (
    version TEXT NOT NULL, arch TEXT NOT NULL, bytes INTEGER NOT NULL, sha256 TEXT NOT NULL UNIQUE,
    made_at INTEGER NOT NULL, program TEXT,
    PRIMARY KEY (version, arch)
) WITHOUT ROWID;

CREATE INDEX job_item_node ON job_item (node);

-- The lab's own image registry. Blobs lie beside the database under their digest; `used_at` keeps those that a push has
-- just asked for from being collected.
CREATE TABLE registry_blob (digest TEXT PRIMARY KEY, bytes INTEGER NOT NULL, used_at INTEGER NOT NULL) WITHOUT ROWID;
-- Which blobs a repository has.
CREATE TABLE registry_link (repository TEXT NOT NULL, digest TEXT NOT NULL, PRIMARY KEY (repository, digest)) WITHOUT ROWID;
CREATE INDEX registry_link_digest ON registry_link (digest);
CREATE TABLE registry_manifest (
    repository TEXT NOT NULL, digest TEXT NOT NULL, media_type TEXT NOT NULL, content BLOB NOT NULL,
    bytes INTEGER NOT NULL, platforms TEXT NOT NULL, pushed_at INTEGER NOT NULL, pushed_by TEXT NOT NULL,
    PRIMARY KEY (repository, digest)
);
-- The blobs and manifests that a manifest names.
CREATE TABLE registry_part (
    repository TEXT NOT NULL, manifest TEXT NOT NULL, digest TEXT NOT NULL, PRIMARY KEY (repository, manifest, digest)
) WITHOUT ROWID;
CREATE INDEX registry_part_digest ON registry_part (digest);
CREATE TABLE registry_tag (
    repository TEXT NOT NULL, tag TEXT NOT NULL, digest TEXT NOT NULL, tagged_at INTEGER NOT NULL, tagged_by TEXT NOT NULL,
    PRIMARY KEY (repository, tag)
) WITHOUT ROWID;
CREATE INDEX registry_tag_digest ON registry_tag (repository, digest);
CREATE TABLE registry_upload (id TEXT PRIMARY KEY, repository TEXT NOT NULL, used_at INTEGER NOT NULL) WITHOUT ROWID;
