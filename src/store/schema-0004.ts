/** Pruning, with its sums kept as it goes; what a rolled back store holds back; the epochs of peers. */
export const schema0004 = `
-- Task and output that are stored here now, bytes. Events through pruned_seq have lost their bytes.
ALTER TABLE flights ADD COLUMN stored_bytes INTEGER NOT NULL DEFAULT 0;
ALTER TABLE flights ADD COLUMN pruned_seq INTEGER NOT NULL DEFAULT 0;
ALTER TABLE flights ADD COLUMN pruned_at_ms INTEGER;
-- Not started before its origin was asked: this store was put back to an older state.
ALTER TABLE flights ADD COLUMN quarantined_at_ms INTEGER;
UPDATE flights SET stored_bytes = stdout_bytes + stderr_bytes
  + coalesce((SELECT length(text) FROM payloads p WHERE p.invocation_id = flights.invocation_id), 0)
  + coalesce((SELECT sum(length(bytes)) FROM payload_files p WHERE p.invocation_id = flights.invocation_id), 0);

DROP INDEX flights_queued;
CREATE INDEX flights_queued ON flights (target, quarantined_at_ms, invocation_id) WHERE state = 'queued' AND owned = 1;
CREATE INDEX flights_quarantined ON flights (origin, invocation_id) WHERE quarantined_at_ms IS NOT NULL;
-- Over, and its origin knows all of it. First those that still hold bytes, then the bare records, oldest first in each.
CREATE INDEX flights_prunable ON flights (stored_bytes = 0, finished_at_ms)
  WHERE finished_at_ms IS NOT NULL AND (acked_seq IS NULL OR acked_seq >= last_seq);

-- All of stored_bytes: summing a million flights takes too long.
CREATE TABLE stored_sum (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  bytes INTEGER NOT NULL
) STRICT;
INSERT INTO stored_sum SELECT 1, coalesce(sum(stored_bytes), 0) FROM flights;

-- 1: its records were pruned here, and it is never taken again.
ALTER TABLE tombstones ADD COLUMN pruned INTEGER NOT NULL DEFAULT 0;

-- The epoch before the newest that was seen of that node.
ALTER TABLE nodes ADD COLUMN prior_epoch INTEGER;
`;
