-- Lists of nodes read what they filter and sort by from an index, not from every node's document.
ALTER TABLE node ADD COLUMN search TEXT AS (name || char(10) || serial || char(10) || coalesce(ip, ''));
CREATE INDEX node_search ON node (name, id, search, state, managed);
CREATE INDEX node_made ON node (managed, id);
