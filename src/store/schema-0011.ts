/** Projects that a person approved, the agents that the node keeps for their worktrees, and why agents are gone. */
export const schema0011 = `
CREATE TABLE projects (
  root TEXT PRIMARY KEY,
  -- JSON: as it was approved.
  definition TEXT NOT NULL,
  words TEXT NOT NULL,
  words_hash TEXT NOT NULL,
  is_repository INTEGER NOT NULL,
  path TEXT NOT NULL,
  -- JSON: tops of worktrees whose instance was removed by hand.
  left_out TEXT NOT NULL,
  approved_at_ms INTEGER NOT NULL,
  approved_by TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE project_instances (
  address TEXT PRIMARY KEY REFERENCES agents ON DELETE CASCADE,
  root TEXT NOT NULL REFERENCES projects,
  top TEXT NOT NULL
) STRICT;
CREATE INDEX project_instances_by_root ON project_instances (root, address);

-- By address without the node, for work that comes for them later.
CREATE TABLE unlisted_agents (
  address TEXT PRIMARY KEY,
  why TEXT NOT NULL,
  at_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
`;
