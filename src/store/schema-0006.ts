/** Worktrees of isolated flights; the linked worktrees that agents were added in. */
export const schema0006 = `
-- At the owner one a worktree, at an origin one a flight.
CREATE TABLE worktrees (
  made_for TEXT PRIMARY KEY,
  -- Later turns of it go on in the same worktree.
  session_id TEXT,
  head TEXT NOT NULL,
  branch TEXT NOT NULL,
  dirty INTEGER NOT NULL,
  -- Where it is: at the owner alone.
  name TEXT,
  prefix TEXT,
  git_dir TEXT,
  search_path TEXT,
  state TEXT NOT NULL,
  made_at_ms INTEGER NOT NULL,
  settled_at_ms INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX worktrees_by_name ON worktrees (name, made_for) WHERE name IS NOT NULL;
CREATE INDEX worktrees_kept_by_session ON worktrees (session_id) WHERE session_id IS NOT NULL AND state = 'kept';

CREATE TABLE flight_worktrees (
  invocation_id TEXT PRIMARY KEY REFERENCES flights ON DELETE CASCADE,
  made_for TEXT NOT NULL REFERENCES worktrees
) STRICT, WITHOUT ROWID;
CREATE INDEX flight_worktrees_by_worktree ON flight_worktrees (made_for);

CREATE TABLE agent_checkouts (
  address TEXT PRIMARY KEY REFERENCES agents ON DELETE CASCADE,
  top TEXT NOT NULL,
  entry TEXT NOT NULL,
  repository TEXT NOT NULL,
  device INTEGER NOT NULL
) STRICT;
`;
