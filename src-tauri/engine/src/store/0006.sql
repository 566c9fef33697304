-- Changes of deployments are jobs, whose items end when their nodes tell how the change came out.
ALTER TABLE job ADD COLUMN deployment TEXT AS (doc ->> '$.rollout.deployment');
CREATE INDEX job_kind ON job (kind, created_at);
CREATE INDEX job_item_open ON job_item (node) WHERE state IN ('waiting', 'running');

-- Deployments on one node alone, without their documents: those of others may name thousands of nodes.
CREATE INDEX deployment_single ON deployment (id) WHERE json_array_length(doc, '$.target.nodes') = 1;

-- What whoever added an image says of it.
ALTER TABLE registry_tag ADD COLUMN description TEXT NOT NULL DEFAULT '';
