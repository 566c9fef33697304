CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;
INSERT INTO meta VALUES ('rev', 1);

CREATE TABLE gone (rev INTEGER PRIMARY KEY, kind INTEGER NOT NULL, id BLOB NOT NULL, at INTEGER NOT NULL);

CREATE TABLE node (
    id BLOB PRIMARY KEY, rev INTEGER NOT NULL, doc TEXT NOT NULL,
    name TEXT AS (doc ->> '$.name'),
    serial TEXT AS (doc ->> '$.serial'),
    key_hash TEXT AS (doc ->> '$.key_hash'),
    managed INTEGER AS (doc ->> '$.managed'),
    state TEXT AS (doc ->> '$.state'),
    ip TEXT AS (doc ->> '$.facts.ip')
);
CREATE UNIQUE INDEX node_name ON node (name);
CREATE UNIQUE INDEX node_serial ON node (serial);
CREATE INDEX node_rev ON node (rev);
CREATE INDEX node_managed ON node (managed, name);

CREATE TABLE node_group (
    id BLOB PRIMARY KEY, rev INTEGER NOT NULL, doc TEXT NOT NULL,
    name TEXT AS (doc ->> '$.name')
);
CREATE UNIQUE INDEX node_group_name ON node_group (name);
CREATE INDEX node_group_rev ON node_group (rev);

CREATE TABLE member (node_group BLOB NOT NULL, node BLOB NOT NULL, PRIMARY KEY (node_group, node)) WITHOUT ROWID;
CREATE INDEX member_node ON member (node, node_group);

-- The generation of what is wanted of a node.
CREATE TABLE desired (node BLOB PRIMARY KEY, generation INTEGER NOT NULL) WITHOUT ROWID;

CREATE TABLE app (
    id BLOB PRIMARY KEY, rev INTEGER NOT NULL, doc TEXT NOT NULL,
    name TEXT AS (doc ->> '$.name')
);
CREATE UNIQUE INDEX app_name ON app (name);
CREATE INDEX app_rev ON app (rev);

CREATE TABLE version (
    id BLOB PRIMARY KEY, rev INTEGER NOT NULL, doc TEXT NOT NULL,
    app TEXT AS (doc ->> '$.app'),
    label TEXT AS (doc ->> '$.label')
);
CREATE UNIQUE INDEX version_label ON version (app, label);
CREATE INDEX version_rev ON version (rev);

CREATE TABLE deployment (
    id BLOB PRIMARY KEY, rev INTEGER NOT NULL, doc TEXT NOT NULL,
    name TEXT AS (doc ->> '$.name'),
    app TEXT AS (doc ->> '$.app'),
    target_group TEXT AS (doc ->> '$.target.group'),
    wanted TEXT AS (doc ->> '$.wanted')
);
CREATE UNIQUE INDEX deployment_name ON deployment (name) WHERE wanted <> 'gone';
CREATE INDEX deployment_app ON deployment (app);
CREATE INDEX deployment_group ON deployment (target_group);
CREATE INDEX deployment_rev ON deployment (rev);

CREATE TABLE placement (
    id BLOB PRIMARY KEY, rev INTEGER NOT NULL, doc TEXT NOT NULL,
    deployment TEXT AS (doc ->> '$.deployment'),
    node TEXT AS (doc ->> '$.node'),
    wanted TEXT AS (doc ->> '$.wanted')
);
CREATE INDEX placement_deployment ON placement (deployment);
CREATE INDEX placement_node ON placement (node);
CREATE INDEX placement_rev ON placement (rev);

CREATE TABLE alarm (
    id BLOB PRIMARY KEY, rev INTEGER NOT NULL, doc TEXT NOT NULL,
    node TEXT AS (doc ->> '$.node'),
    raised_at INTEGER AS (doc ->> '$.raised_at'),
    cleared_at INTEGER AS (doc ->> '$.cleared_at')
);
CREATE INDEX alarm_active ON alarm (raised_at) WHERE cleared_at IS NULL;
CREATE INDEX alarm_raised ON alarm (raised_at);
CREATE INDEX alarm_node ON alarm (node, raised_at);
CREATE INDEX alarm_rev ON alarm (rev);

CREATE TABLE event (
    id BLOB PRIMARY KEY, rev INTEGER NOT NULL, doc TEXT NOT NULL,
    at INTEGER AS (doc ->> '$.at'),
    node TEXT AS (doc ->> '$.node')
);
CREATE INDEX event_at ON event (at);
CREATE INDEX event_node ON event (node, at);
CREATE INDEX event_rev ON event (rev);

-- Samples of one node over some minutes, in the form of the telemetry module. The lab's mean has node x''.
CREATE TABLE samples (node BLOB NOT NULL, start INTEGER NOT NULL, data BLOB NOT NULL, PRIMARY KEY (node, start)) WITHOUT ROWID;
CREATE INDEX samples_start ON samples (start);

-- The names that other systems know a thing by.
CREATE TABLE alias (
    system INTEGER NOT NULL, kind INTEGER NOT NULL, external INTEGER NOT NULL, id BLOB NOT NULL,
    PRIMARY KEY (system, kind, external)
) WITHOUT ROWID;
CREATE UNIQUE INDEX alias_id ON alias (system, kind, id);
CREATE TABLE alias_counter (system INTEGER NOT NULL, kind INTEGER NOT NULL, last INTEGER NOT NULL, PRIMARY KEY (system, kind)) WITHOUT ROWID;

CREATE TABLE join_token (
    id BLOB PRIMARY KEY, rev INTEGER NOT NULL, kind TEXT NOT NULL, hash TEXT NOT NULL UNIQUE,
    created_at INTEGER NOT NULL, expires_at INTEGER NOT NULL, uses INTEGER NOT NULL DEFAULT 0
);

CREATE TABLE user (
    id BLOB PRIMARY KEY, rev INTEGER NOT NULL, name TEXT NOT NULL UNIQUE COLLATE NOCASE, password TEXT NOT NULL,
    role TEXT NOT NULL, created_at INTEGER NOT NULL, last_login INTEGER
);
CREATE TABLE session (hash TEXT PRIMARY KEY, user BLOB NOT NULL, csrf TEXT NOT NULL, created_at INTEGER NOT NULL, used_at INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE api_token (
    id BLOB PRIMARY KEY, name TEXT NOT NULL, hash TEXT NOT NULL UNIQUE, role TEXT NOT NULL,
    created_at INTEGER NOT NULL, expires_at INTEGER
);

CREATE TABLE audit (
    id BLOB PRIMARY KEY, at INTEGER NOT NULL, actor TEXT NOT NULL, origin TEXT NOT NULL, action TEXT NOT NULL,
    subject TEXT NOT NULL, outcome TEXT NOT NULL
);
CREATE INDEX audit_at ON audit (at);

CREATE TABLE setting (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
-- Sealed with the key outside the database.
CREATE TABLE secret (name TEXT PRIMARY KEY, sealed BLOB NOT NULL) WITHOUT ROWID;

CREATE TABLE package (hash TEXT PRIMARY KEY, bytes INTEGER NOT NULL, created_at INTEGER NOT NULL) WITHOUT ROWID;

-- The revision of the last change that a user made to a node, against two people changing it at once.
CREATE TABLE node_changed (node BLOB PRIMARY KEY, rev INTEGER NOT NULL) WITHOUT ROWID;

-- Nodes that were taken out of the lab, so that one that was away hears of it when it is back.
CREATE TABLE removed_node (node BLOB PRIMARY KEY, at INTEGER NOT NULL) WITHOUT ROWID;
