/** Agents shared with others, and invocations that were accepted as one group. */
export const schema0012 = `
-- By the agent's id: its address goes with the name of its node.
CREATE TABLE agent_shares (
  agent_id TEXT NOT NULL REFERENCES agents (id) ON DELETE CASCADE,
  -- all, person, node
  kind TEXT NOT NULL,
  -- Empty for all; an owner identity; a node id.
  who TEXT NOT NULL,
  shared_at_ms INTEGER NOT NULL,
  shared_by TEXT NOT NULL,
  PRIMARY KEY (agent_id, kind, who)
) STRICT, WITHOUT ROWID;

-- Of work that came from another node: the owner identity in the certificate of the link that it came by.
ALTER TABLE flights ADD COLUMN origin_owner TEXT;

ALTER TABLE invocations ADD COLUMN group_id TEXT;
CREATE INDEX invocations_by_group ON invocations (group_id, id) WHERE group_id IS NOT NULL;
CREATE INDEX invocations_by_group_end ON invocations (substr(group_id, -4), group_id) WHERE group_id IS NOT NULL;
`;
