/** What people said to the requests of agents. */
export const schema0004 = `
-- One a request: at the owner, and at the node where the reply was given until the owner has settled it.
CREATE TABLE replies (
  invocation_id TEXT NOT NULL REFERENCES flights ON DELETE CASCADE,
  request TEXT NOT NULL,
  -- text, approved, denied; at the owner also timeout
  kind TEXT NOT NULL,
  text TEXT,
  given_by TEXT NOT NULL,
  from_node INTEGER NOT NULL REFERENCES nodes,
  owner INTEGER NOT NULL REFERENCES nodes,
  given_at_ms INTEGER NOT NULL,
  settled_at_ms INTEGER,
  error TEXT,
  PRIMARY KEY (invocation_id, request)
) STRICT, WITHOUT ROWID;
CREATE INDEX replies_open ON replies (owner, invocation_id, request) WHERE settled_at_ms IS NULL;
`;
