/** Issuers that were removed, by every word that says so. */
export const schema0021 = `
-- All signed words that take the trust from an issuer: none stands for another, since they may mean other keys, or keep other members.
-- The first of a node is in revocations, too, as of every removed node.
CREATE TABLE falls (
  node INTEGER NOT NULL REFERENCES nodes (number),
  name TEXT NOT NULL,
  revoked_by TEXT NOT NULL,
  revoked_at_ms INTEGER NOT NULL,
  payload BLOB NOT NULL,
  signature BLOB NOT NULL,
  fallen_issuer BLOB NOT NULL,
  kept TEXT NOT NULL,
  -- The key that signed it, lower-case hex. Null: before this was kept.
  signer TEXT
) STRICT;
CREATE INDEX falls_of_node ON falls (node);
INSERT INTO falls (node, name, revoked_by, revoked_at_ms, payload, signature, fallen_issuer, kept)
  SELECT node, name, revoked_by, revoked_at_ms, payload, signature, fallen_issuer, kept FROM revocations WHERE fallen_issuer IS NOT NULL;
DROP INDEX revocations_of_issuers;

ALTER TABLE revocations ADD COLUMN signer TEXT;
CREATE INDEX revocations_by_signer ON revocations (signer);
`;
