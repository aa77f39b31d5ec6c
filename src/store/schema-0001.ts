/**
 * The first schema. Ids of one invocation share a ULID, so every record of it is keyed by the invocation's id and shows
 * its own as a generated column. Node ids are long and few: rows hold their number in `nodes`. Terminal flights, which
 * grow with history, have indexes of their own, so that work in progress touches few.
 */
export const schema0001 = `
CREATE TABLE settings (
  key TEXT PRIMARY KEY,
  value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE nodes (
  number INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  epoch INTEGER,
  version TEXT,
  booted_at_ms INTEGER
) STRICT;

CREATE TABLE agents (
  address TEXT PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  node INTEGER NOT NULL REFERENCES nodes,
  harness TEXT NOT NULL,
  capabilities TEXT NOT NULL,
  labels TEXT NOT NULL,
  visibility TEXT NOT NULL,
  description TEXT NOT NULL,
  is_default INTEGER NOT NULL,
  available INTEGER NOT NULL,
  unavailable_why TEXT,
  added_at_ms INTEGER NOT NULL
) STRICT;

CREATE TABLE agent_endpoints (
  address TEXT PRIMARY KEY REFERENCES agents ON DELETE CASCADE,
  harness TEXT NOT NULL,
  cwd TEXT NOT NULL,
  argv TEXT NOT NULL,
  env TEXT NOT NULL,
  path TEXT NOT NULL,
  permissions TEXT NOT NULL,
  isolate INTEGER NOT NULL
) STRICT;

CREATE TABLE invocations (
  id TEXT PRIMARY KEY,
  origin INTEGER NOT NULL REFERENCES nodes,
  owner INTEGER NOT NULL REFERENCES nodes,
  caller TEXT NOT NULL,
  address_typed TEXT NOT NULL,
  target TEXT NOT NULL,
  session_mode TEXT NOT NULL,
  session_name TEXT,
  hold_ms INTEGER NOT NULL,
  total_ms INTEGER NOT NULL,
  run_ms INTEGER,
  idle_ms INTEGER,
  rerunnable INTEGER NOT NULL,
  parent_id TEXT,
  root_id TEXT NOT NULL,
  depth INTEGER NOT NULL,
  redrive_of TEXT,
  accepted_at_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The task. Pruned before the records that speak of it.
CREATE TABLE payloads (
  invocation_id TEXT PRIMARY KEY,
  files INTEGER NOT NULL,
  text BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE payload_files (
  invocation_id TEXT NOT NULL REFERENCES payloads ON DELETE CASCADE,
  position INTEGER NOT NULL,
  name TEXT NOT NULL,
  bytes BLOB NOT NULL,
  PRIMARY KEY (invocation_id, position)
) STRICT, WITHOUT ROWID;

-- No foreign key: a key outlives what it stood for.
CREATE TABLE idempotency (
  caller TEXT NOT NULL,
  key TEXT NOT NULL,
  invocation_id TEXT NOT NULL,
  payload_hash TEXT NOT NULL,
  PRIMARY KEY (caller, key)
) STRICT, WITHOUT ROWID;

-- Both roles: what this node originated, what it owns, or both. The other node is the peer.
CREATE TABLE flights (
  invocation_id TEXT PRIMARY KEY REFERENCES invocations,
  id TEXT GENERATED ALWAYS AS ('flt_' || substr(invocation_id, 5)) VIRTUAL,
  origin INTEGER NOT NULL,
  owner INTEGER NOT NULL,
  peer INTEGER,
  owned INTEGER NOT NULL,
  target TEXT NOT NULL,
  agent TEXT NOT NULL,
  state TEXT NOT NULL,
  run INTEGER NOT NULL,
  last_seq INTEGER NOT NULL,
  acked_seq INTEGER,
  hold_until_ms INTEGER NOT NULL,
  total_until_ms INTEGER NOT NULL,
  due_at_ms INTEGER,
  accepted_at_ms INTEGER NOT NULL,
  sent_at_ms INTEGER,
  received_at_ms INTEGER,
  started_at_ms INTEGER,
  finished_at_ms INTEGER,
  cancel_requested_at_ms INTEGER,
  verdict_by TEXT,
  exit_code INTEGER,
  signal TEXT,
  error TEXT,
  ended INTEGER,
  waiting_reason TEXT,
  waiting_request TEXT,
  waiting_prompt TEXT,
  waiting_choices TEXT,
  waiting_since_ms INTEGER,
  waiting_until_ms INTEGER,
  stdout_bytes INTEGER NOT NULL,
  stderr_bytes INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX flights_by_suffix ON flights (substr(invocation_id, -4), invocation_id);
CREATE INDEX flights_by_state ON flights (state, invocation_id);
CREATE INDEX flights_queued ON flights (target, invocation_id) WHERE state = 'queued' AND owned = 1;
CREATE INDEX flights_due ON flights (due_at_ms) WHERE due_at_ms IS NOT NULL;
CREATE INDEX flights_sent ON flights (owner, invocation_id) WHERE sent_at_ms IS NOT NULL AND finished_at_ms IS NULL;
CREATE INDEX flights_unacknowledged ON flights (origin, invocation_id) WHERE acked_seq < last_seq;
CREATE INDEX flights_ended_by_agent ON flights (agent, state, invocation_id) WHERE finished_at_ms IS NOT NULL;
CREATE INDEX flights_ended_by_target ON flights (target, state, invocation_id) WHERE finished_at_ms IS NOT NULL;
CREATE INDEX flights_ended_by_peer ON flights (peer, state, invocation_id) WHERE peer IS NOT NULL AND finished_at_ms IS NOT NULL;

-- Kept current with each commit: counting a million flights takes too long.
CREATE TABLE flight_counts (
  state TEXT PRIMARY KEY,
  count INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE flight_events (
  invocation_id TEXT NOT NULL REFERENCES flights,
  seq INTEGER NOT NULL,
  at_ms INTEGER NOT NULL,
  hlc TEXT NOT NULL,
  kind TEXT NOT NULL,
  run INTEGER,
  stream TEXT,
  reason TEXT,
  request TEXT,
  prompt TEXT,
  choices TEXT,
  until_ms INTEGER,
  state TEXT,
  exit_code INTEGER,
  signal TEXT,
  error TEXT,
  ended INTEGER,
  bytes BLOB,
  PRIMARY KEY (invocation_id, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE deliveries (
  invocation_id TEXT PRIMARY KEY REFERENCES invocations,
  id TEXT GENERATED ALWAYS AS ('dlv_' || substr(invocation_id, 5)) VIRTUAL,
  from_node INTEGER NOT NULL,
  to_node INTEGER NOT NULL,
  status TEXT NOT NULL,
  attempts INTEGER NOT NULL,
  failure_reason TEXT,
  failure_detail TEXT,
  created_at_ms INTEGER NOT NULL,
  updated_at_ms INTEGER NOT NULL,
  received_at_ms INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX deliveries_by_status ON deliveries (status, invocation_id);
CREATE INDEX deliveries_deferred ON deliveries (to_node, invocation_id) WHERE status = 'deferred';
CREATE INDEX deliveries_sent ON deliveries (to_node, invocation_id) WHERE status = 'sent';

CREATE TABLE delivery_attempts (
  invocation_id TEXT NOT NULL REFERENCES deliveries,
  number INTEGER NOT NULL,
  id TEXT NOT NULL,
  started_at_ms INTEGER NOT NULL,
  ended_at_ms INTEGER,
  outcome TEXT,
  why TEXT,
  PRIMARY KEY (invocation_id, number)
) STRICT, WITHOUT ROWID;

-- A cancel came before the invocation: it is never taken.
CREATE TABLE tombstones (
  origin INTEGER NOT NULL REFERENCES nodes,
  invocation_id TEXT NOT NULL,
  at_ms INTEGER NOT NULL,
  PRIMARY KEY (origin, invocation_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE events (
  number INTEGER PRIMARY KEY,
  at_ms INTEGER NOT NULL,
  hlc TEXT NOT NULL,
  node INTEGER NOT NULL,
  what TEXT NOT NULL,
  invocation_id TEXT,
  peer INTEGER,
  detail TEXT NOT NULL
) STRICT;
CREATE INDEX events_by_invocation ON events (invocation_id) WHERE invocation_id IS NOT NULL;
CREATE TRIGGER events_never_change BEFORE UPDATE ON events
BEGIN SELECT raise(ABORT, 'a fact is never changed'); END;
-- Pruning puts this setting in place for the length of its own transaction.
CREATE TRIGGER events_only_pruned BEFORE DELETE ON events
WHEN NOT EXISTS (SELECT 1 FROM settings WHERE key = 'pruning')
BEGIN SELECT raise(ABORT, 'facts are only removed by pruning'); END;

CREATE TABLE registry_heads (
  node INTEGER PRIMARY KEY REFERENCES nodes,
  epoch INTEGER NOT NULL,
  version INTEGER NOT NULL,
  count INTEGER NOT NULL,
  root_hash TEXT NOT NULL,
  payload BLOB NOT NULL,
  signature BLOB NOT NULL,
  received_at_ms INTEGER NOT NULL
) STRICT;

CREATE TABLE registrations (
  node INTEGER NOT NULL REFERENCES nodes,
  address TEXT NOT NULL,
  harness TEXT NOT NULL,
  capabilities TEXT NOT NULL,
  labels TEXT NOT NULL,
  visibility TEXT NOT NULL,
  description TEXT NOT NULL,
  is_default INTEGER NOT NULL,
  available INTEGER NOT NULL,
  unavailable_why TEXT,
  payload BLOB NOT NULL,
  signature BLOB NOT NULL,
  PRIMARY KEY (node, address)
) STRICT;

CREATE TABLE mesh (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  id TEXT NOT NULL,
  mesh_name TEXT NOT NULL,
  name TEXT NOT NULL,
  owner TEXT NOT NULL,
  root BLOB NOT NULL,
  leaf BLOB NOT NULL,
  issuer BLOB NOT NULL,
  is_issuer INTEGER NOT NULL,
  since_ms INTEGER NOT NULL
) STRICT;

CREATE TABLE members (
  node INTEGER PRIMARY KEY REFERENCES nodes,
  name TEXT NOT NULL,
  owner TEXT NOT NULL,
  leaf BLOB NOT NULL,
  issuer BLOB NOT NULL,
  not_before_ms INTEGER NOT NULL,
  addresses TEXT NOT NULL,
  last_seen_ms INTEGER
) STRICT;

CREATE TABLE invites (
  secret_hash TEXT PRIMARY KEY,
  owner TEXT NOT NULL,
  created_at_ms INTEGER NOT NULL,
  expires_at_ms INTEGER NOT NULL,
  used_at_ms INTEGER,
  used_by INTEGER REFERENCES nodes
) STRICT, WITHOUT ROWID;
`;
