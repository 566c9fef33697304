-- What containers used. Images go by number, because each is named in many rows.
CREATE TABLE metered_image (
    id INTEGER PRIMARY KEY, repository TEXT NOT NULL, tag TEXT NOT NULL, UNIQUE (repository, tag)
);

-- The last report of each node that was added; the epoch tells an agent's records from those that it lost.
CREATE TABLE usage_mark (node BLOB PRIMARY KEY, epoch INTEGER NOT NULL, number INTEGER NOT NULL) WITHOUT ROWID;

-- Traffic in bytes; memory and disk in bytes times seconds; of the time measured, that without traffic counted. The whole lab by window and by hour, and each node by hour.
CREATE TABLE usage_window (
    start INTEGER NOT NULL, image INTEGER NOT NULL, sent INTEGER NOT NULL, received INTEGER NOT NULL,
    cpu_ms INTEGER NOT NULL, memory REAL NOT NULL, disk REAL NOT NULL, measured_ms INTEGER NOT NULL,
    uncounted_ms INTEGER NOT NULL,
    PRIMARY KEY (start, image)
) WITHOUT ROWID;
CREATE TABLE usage_hour (
    start INTEGER NOT NULL, image INTEGER NOT NULL, sent INTEGER NOT NULL, received INTEGER NOT NULL,
    cpu_ms INTEGER NOT NULL, memory REAL NOT NULL, disk REAL NOT NULL, measured_ms INTEGER NOT NULL,
    uncounted_ms INTEGER NOT NULL,
    PRIMARY KEY (start, image)
) WITHOUT ROWID;
CREATE TABLE usage_node_hour (
    start INTEGER NOT NULL, node BLOB NOT NULL, image INTEGER NOT NULL, sent INTEGER NOT NULL, received INTEGER NOT NULL,
    cpu_ms INTEGER NOT NULL, memory REAL NOT NULL, disk REAL NOT NULL, measured_ms INTEGER NOT NULL,
    uncounted_ms INTEGER NOT NULL,
    PRIMARY KEY (start, node, image)
) WITHOUT ROWID;
