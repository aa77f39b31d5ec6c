/** What agents tell of their work; their sessions; what their people are told. */
export const schema0005 = `
-- JSON: what a tool call, plan, diff, thought or usage holds, null once pruned; the session of a started.
ALTER TABLE flight_events ADD COLUMN detail TEXT;

ALTER TABLE flights ADD COLUMN session_id TEXT;
CREATE INDEX flights_in_session ON flights (session_id, state) WHERE session_id IS NOT NULL AND finished_at_ms IS NULL;
DROP INDEX flights_queued;
CREATE INDEX flights_queued ON flights (target, quarantined_at_ms, invocation_id, session_id) WHERE state = 'queued' AND owned = 1;

-- At the origin. 1: its person is told when it waits and when it has finished; 2: was told of its end.
ALTER TABLE flights ADD COLUMN notify INTEGER NOT NULL DEFAULT 0;
-- The request, or 'finished', that was told last.
ALTER TABLE flights ADD COLUMN notified TEXT;
CREATE INDEX flights_to_notify ON flights (notify, invocation_id) WHERE notify = 1;

-- With agents of this node.
CREATE TABLE agent_sessions (
  id TEXT PRIMARY KEY,
  address TEXT NOT NULL,
  owner_identity TEXT NOT NULL,
  -- What the agent calls it, once it has said so.
  agent_session TEXT,
  created_at_ms INTEGER NOT NULL,
  last_used_at_ms INTEGER NOT NULL,
  last_used_hlc TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX agent_sessions_by_use ON agent_sessions (address, owner_identity, last_used_hlc);
CREATE INDEX agent_sessions_by_name ON agent_sessions (agent_session, address, owner_identity, last_used_hlc) WHERE agent_session IS NOT NULL;
CREATE INDEX agent_sessions_by_suffix ON agent_sessions (substr(id, -4), address, owner_identity, last_used_hlc);
CREATE INDEX agent_sessions_idle ON agent_sessions (last_used_at_ms);
`;
