/** Who waits to be let in leaves nothing behind when it is forgotten. */
export const schema0020 = `
-- By id as text: anybody can ask under one key after another, and a number in nodes is for ever.
ALTER TABLE applicants RENAME TO applicants_by_number;
CREATE TABLE applicants (
  node_id TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  address TEXT NOT NULL,
  login TEXT,
  tags TEXT NOT NULL,
  why TEXT NOT NULL,
  since_ms INTEGER NOT NULL,
  last_ms INTEGER NOT NULL
) STRICT;
INSERT INTO applicants (node_id, name, address, login, tags, why, since_ms, last_ms)
  SELECT nodes.id, a.name, a.address, a.login, a.tags, a.why, a.since_ms, a.last_ms
  FROM applicants_by_number a JOIN nodes ON nodes.number = a.node ORDER BY a.since_ms, a.node;
DROP TABLE applicants_by_number;
`;
