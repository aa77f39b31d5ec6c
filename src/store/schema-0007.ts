/** Entering by the word of the tailnet: rules, who waits, and which nodes besides the first let others in. */
export const schema0007 = `
-- This node's own issuer certificate, where it is not the one that signed its leaf.
ALTER TABLE mesh ADD COLUMN own_issuer BLOB;

CREATE TABLE admit_rules (
  kind TEXT NOT NULL,
  value TEXT NOT NULL,
  since_ms INTEGER NOT NULL,
  PRIMARY KEY (kind, value)
) STRICT, WITHOUT ROWID;

CREATE TABLE applicants (
  node INTEGER PRIMARY KEY REFERENCES nodes,
  name TEXT NOT NULL,
  address TEXT NOT NULL,
  login TEXT,
  tags TEXT NOT NULL,
  why TEXT NOT NULL,
  since_ms INTEGER NOT NULL,
  last_ms INTEGER NOT NULL
) STRICT;

-- Nodes that this one, which holds the root key, made issuers.
CREATE TABLE issuers (
  node INTEGER PRIMARY KEY REFERENCES nodes,
  certificate BLOB NOT NULL,
  since_ms INTEGER NOT NULL
) STRICT;
`;
