/** Who was removed from the mesh, for ever. */
export const schema0010 = `
-- An issuer's signed word. Never pruned: it counts for certificates that may yet turn up. Of a node that need not be known otherwise.
CREATE TABLE revocations (
  node INTEGER PRIMARY KEY REFERENCES nodes (number),
  name TEXT NOT NULL,
  revoked_by TEXT NOT NULL,
  revoked_at_ms INTEGER NOT NULL,
  payload BLOB NOT NULL,
  signature BLOB NOT NULL,
  -- Of a node that let others in: its certificate as an issuer, and, JSON, the ids of those whom it certified and who stay.
  fallen_issuer BLOB,
  kept TEXT
) STRICT;
CREATE INDEX revocations_of_issuers ON revocations (node) WHERE fallen_issuer IS NOT NULL;

-- With which a member proved to this node that it is an issuer.
ALTER TABLE members ADD COLUMN issuer_certificate BLOB;
-- The removed issuer that certified it, when it is not among those that stay.
ALTER TABLE members ADD COLUMN removed_with INTEGER REFERENCES nodes (number);

-- What others asked this node for and is not over: it ends when they are removed.
CREATE INDEX flights_open_for_peer ON flights (peer, invocation_id) WHERE owned = 1 AND peer IS NOT NULL AND finished_at_ms IS NULL;

-- This node itself was removed.
ALTER TABLE mesh ADD COLUMN removed_at_ms INTEGER;
ALTER TABLE mesh ADD COLUMN removed_by TEXT;
`;
