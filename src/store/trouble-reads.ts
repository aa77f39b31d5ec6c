/** What is not well, by index: each count and each list is bounded, however much is stored. */
import type { DeliveryState } from '../domain/delivery.ts';
import type { FlightState } from '../domain/flight.ts';
import type { InvocationId, NodeId } from '../domain/ids.ts';
import type { AgentPace, Backlog, Count, Owing, StoredTroubles, Troubled, TroubledFlight } from '../domain/observation.ts';
import type { NodeNumbers } from './caches.ts';
import type { Connection } from './connection.ts';
import { parseError } from './flight-row.ts';
import { firstIdAt } from './id-range.ts';
import { queuedTargetReads } from './queue-reads.ts';

/** Counted at most. */
const mostCounted = 10_000;
/** Shown of what has gone wrong. */
const mostShown = 3;
/** Agents looked at: those whose names come first. */
const mostAgents = 500;
/** Runs under way that are looked at. */
const mostRuns = 1000;
/** Of which the median is what is usual. */
const mostCompleted = 20;
/** For a median to mean anything. */
const leastCompleted = 3;

interface Row {
  readonly invocation_id: InvocationId;
  readonly target: string;
  readonly origin: number;
  readonly owner: number;
  readonly state: FlightState;
  readonly accepted_at_ms: number;
  readonly received_at_ms: number | null;
  readonly started_at_ms: number | null;
  readonly finished_at_ms: number | null;
  readonly waiting_since_ms: number | null;
  readonly waiting_reason: string | null;
  readonly error: string | null;
  readonly status: DeliveryState | null;
  readonly attempts: number | null;
  readonly failure_reason: string | null;
  readonly failure_detail: string | null;
  readonly created_at_ms: number | null;
  readonly updated_at_ms: number | null;
}

interface IdRow {
  readonly invocation_id: InvocationId;
}

export function troubleReads(db: Connection, nodes: NodeNumbers) {
  const get = db.prepare<[InvocationId], Row>(`
    SELECT f.invocation_id, f.target, f.origin, f.owner, f.state, f.accepted_at_ms, f.received_at_ms, f.started_at_ms, f.finished_at_ms,
      f.waiting_since_ms, f.waiting_reason, f.error, d.status, d.attempts, d.failure_reason, d.failure_detail, d.created_at_ms, d.updated_at_ms
    FROM flights f LEFT JOIN deliveries d ON d.invocation_id = f.invocation_id WHERE f.invocation_id = ?`);
  const inOrder = { oldest: 'ASC', newest: 'DESC' } as const;
  /** Of a flight that has ended without its owner's word the delivery is as it was: nobody waits for it. */
  const under = (status: string): string => `FROM deliveries d INDEXED BY deliveries_by_status JOIN flights f ON f.invocation_id = d.invocation_id WHERE d.status = '${status}' AND f.finished_at_ms IS NULL`;
  const underWay = (['deferred', 'sent'] as const).map((status) => ({
    oldest: db.prepare<[], IdRow>(`SELECT d.invocation_id ${under(status)} ORDER BY d.invocation_id LIMIT 1`),
    count: db.prepare<[number], { count: number }>(`SELECT count(*) AS count FROM (SELECT 1 ${under(status)} LIMIT ?)`),
  }));
  /** Ids of one state from that id on. */
  const walk = (table: 'deliveries' | 'flights', column: 'status' | 'state', order: keyof typeof inOrder) =>
    db.prepare<[string, string, number], IdRow>(
      `SELECT invocation_id FROM ${table} INDEXED BY ${table}_by_${column} WHERE ${column} = ? AND invocation_id >= ? ORDER BY invocation_id ${inOrder[order]} LIMIT ?`,
    );
  const count = (table: 'deliveries' | 'flights', column: 'status' | 'state') =>
    db.prepare<[string, string, number], { count: number }>(
      `SELECT count(*) AS count FROM (SELECT 1 FROM ${table} INDEXED BY ${table}_by_${column} WHERE ${column} = ? AND invocation_id >= ? LIMIT ?)`,
    );
  const deliveries = { newest: walk('deliveries', 'status', 'newest'), count: count('deliveries', 'status') };
  const flights = { oldest: walk('flights', 'state', 'oldest'), newest: walk('flights', 'state', 'newest'), count: count('flights', 'state') };
  const toNode = (status: string): string => `FROM deliveries d INDEXED BY deliveries_${status} JOIN flights f ON f.invocation_id = d.invocation_id WHERE d.to_node = ? AND d.status = '${status}' AND f.finished_at_ms IS NULL`;
  const forNode = (status: 'deferred' | 'sent') => ({
    oldest: db.prepare<[number], IdRow>(`SELECT d.invocation_id ${toNode(status)} ORDER BY d.invocation_id LIMIT 1`),
    count: db.prepare<[number, number], { count: number }>(`SELECT count(*) AS count FROM (SELECT 1 ${toNode(status)} LIMIT ?)`),
  });
  const [deferredFor, sentFor] = [forNode('deferred'), forNode('sent')];
  const openAt = db.prepare<[number, number], { count: number }>(
    'SELECT count(*) AS count FROM (SELECT 1 FROM flights INDEXED BY flights_sent WHERE owner = ? AND sent_at_ms IS NOT NULL AND finished_at_ms IS NULL LIMIT ?)',
  );
  const paces = paceReads(db);

  const troubled = (id: InvocationId): TroubledFlight[] => {
    const row = get.get(id);
    if (row === undefined) return [];
    const { invocation_id: invocationId, target, attempts } = row;
    return [{ invocationId, target, originNodeId: nodes.idOf(row.origin), ownerNodeId: nodes.idOf(row.owner), sinceMs: sinceOf(row), why: whyOf(row), attempts: attempts ?? 0 }];
  };
  const counted = (found: { readonly count: number } | undefined): Count => {
    const all = found?.count ?? 0;
    return { count: Math.min(all, mostCounted), more: all > mostCounted };
  };
  const backlog = (ids: readonly IdRow[], counts: readonly Count[]): Backlog => {
    const [oldest] = ids.flatMap((each) => troubled(each.invocation_id)).toSorted((a, b) => a.sinceMs - b.sinceMs);
    return { count: counts.reduce((sum, each) => sum + each.count, 0), more: counts.some((each) => each.more), ...(oldest === undefined ? {} : { oldest }) };
  };
  const newest = (reads: Pick<typeof flights, 'newest' | 'count'>, value: string, fromId: string): Troubled => ({
    ...counted(reads.count.get(value, fromId, mostCounted + 1)),
    newest: reads.newest.all(value, fromId, mostShown).flatMap((each) => troubled(each.invocation_id)),
  });

  return {
    troubles({ sinceMs, nowMs }: { readonly sinceMs: number; readonly nowMs: number }): StoredTroubles {
      const fromId = firstIdAt(sinceMs);
      return {
        undelivered: backlog(
          underWay.flatMap(({ oldest }) => oldest.all()),
          underWay.map(({ count: all }) => counted(all.get(mostCounted + 1))),
        ),
        dead: newest(deliveries, 'dead', fromId),
        indeterminate: newest(flights, 'indeterminate', fromId),
        waiting: backlog(flights.oldest.all('waiting', '', mostShown), [counted(flights.count.get('waiting', '', mostCounted + 1))]),
        paces: paces(nowMs),
      };
    },
    owedTo(nodeIds: readonly NodeId[]): Owing[] {
      return nodeIds.flatMap((nodeId) => {
        const number = nodes.find(nodeId);
        if (number === undefined) return [];
        const undelivered = backlog(
          [deferredFor, sentFor].flatMap(({ oldest }) => oldest.all(number)),
          [deferredFor, sentFor].map((each) => counted(each.count.get(number, mostCounted + 1))),
        );
        const open = counted(openAt.get(number, mostCounted + 1));
        return undelivered.count + open.count === 0 ? [] : [{ nodeId, undelivered, open }];
      });
    },
  };
}

/** Since when it is as it is, and is not well. */
function sinceOf({ state, waiting_since_ms, finished_at_ms, accepted_at_ms }: Row): number {
  return (state === 'waiting' ? waiting_since_ms : finished_at_ms) ?? accepted_at_ms;
}

function whyOf({ state, status, waiting_reason, failure_reason, failure_detail, error }: Row): string {
  if (state === 'waiting') return waiting_reason ?? '';
  if (state === 'indeterminate') return parseError(error)?.message ?? '';
  const why = [failure_reason, failure_detail].filter((each) => each !== null && each !== '').join(': ');
  return why === '' && status === 'sent' ? 'sent, and not yet confirmed' : why;
}

function paceReads(db: Connection) {
  const targets = queuedTargetReads(db);
  // What is held back waits for another node's word, not for the agent.
  const oldestOf = db.prepare<[string], { at_ms: number }>(`
    SELECT coalesce(received_at_ms, accepted_at_ms) AS at_ms FROM flights INDEXED BY flights_queued
    WHERE target = ? AND state = 'queued' AND owned = 1 AND quarantined_at_ms IS NULL ORDER BY invocation_id LIMIT 1`);
  const queuedOf = db.prepare<[string, number], { count: number }>(
    "SELECT count(*) AS count FROM (SELECT 1 FROM flights INDEXED BY flights_queued WHERE target = ? AND state = 'queued' AND owned = 1 LIMIT ?)",
  );
  const running = db.prepare<[number], { target: string; started_at_ms: number }>(`
    SELECT target, started_at_ms FROM flights INDEXED BY flights_by_state
    WHERE state = 'running' AND owned = 1 AND started_at_ms IS NOT NULL ORDER BY invocation_id LIMIT ?`);
  const completed = db.prepare<[string, number], { took: number }>(`
    SELECT finished_at_ms - started_at_ms AS took FROM flights INDEXED BY flights_ended_by_target
    WHERE target = ? AND state = 'completed' AND finished_at_ms IS NOT NULL AND started_at_ms IS NOT NULL ORDER BY invocation_id DESC LIMIT ?`);

  /** A step an agent, however much is queued for each. */
  function* queued(): Generator<[string, { readonly queued: number; readonly sinceMs: number }]> {
    let count = 0;
    for (const target of targets()) {
      const oldest = oldestOf.get(target);
      if (oldest !== undefined) yield [target, { queued: queuedOf.get(target, mostCounted)?.count ?? 0, sinceMs: oldest.at_ms }];
      count += 1;
      if (count === mostAgents) return;
    }
  }

  return (nowMs: number): AgentPace[] => {
    const waits = new Map(queued());
    const runs = new Map<string, { count: number; sinceMs: number }>();
    for (const { target, started_at_ms: sinceMs } of running.all(mostRuns)) {
      const known = runs.get(target);
      runs.set(target, known === undefined ? { count: 1, sinceMs } : { count: known.count + 1, sinceMs: Math.min(known.sinceMs, sinceMs) });
    }
    const all = new Set([...waits.keys(), ...runs.keys()]);
    return [...all].map((address) => {
      const [wait, run] = [waits.get(address), runs.get(address)];
      const took = completed.all(address, mostCompleted).map((each) => each.took).toSorted((a, b) => a - b);
      const usualRunMs = took.length < leastCompleted ? undefined : took[Math.floor(took.length / 2)];
      return {
        address,
        queued: wait?.queued ?? 0,
        running: run?.count ?? 0,
        ...(wait === undefined ? {} : { oldestQueuedMs: Math.max(0, nowMs - wait.sinceMs) }),
        ...(run === undefined ? {} : { longestRunMs: Math.max(0, nowMs - run.sinceMs) }),
        ...(usualRunMs === undefined ? {} : { usualRunMs }),
      };
    });
  };
}
