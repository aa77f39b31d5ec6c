/** What waits for the agents of this node, in the order in which it is to start, and by whose it is. */
import { flightOfInvocation, invocationOfFlight } from '../domain/ids.ts';
import type { InvocationId } from '../domain/ids.ts';
import type { QueuedCaller, StoreReads } from '../domain/store-port.ts';
import type { NodeNumbers } from './caches.ts';
import type { Connection } from './connection.ts';

interface IdRow {
  readonly invocation_id: InvocationId;
}

interface CallerRow {
  readonly origin: number;
  readonly owner: string;
}

const waiting = "state = 'queued' AND owned = 1";
/** Not held back, and of none of the sessions in the JSON array. */
const startable = `${waiting} AND quarantined_at_ms IS NULL AND invocation_id > ? AND (session_id IS NULL OR session_id NOT IN (SELECT value FROM json_each(?)))`;
/** In the order of that index. */
const nextCaller = `SELECT origin, coalesce(origin_owner, '') AS owner FROM flights INDEXED BY flights_queued_by_caller WHERE target = ? AND quarantined_at_ms IS NULL AND ${waiting}`;

/** Each by index: a row that is walked is one that is given, or of a busy session. */
export function queueReads(db: Connection, nodes: NodeNumbers): Pick<StoreReads, 'queued' | 'queuedCallers' | 'queuedTargets' | 'queuedCount'> {
  const inOrder = db.prepare<[string, string, string, number], IdRow>(`SELECT invocation_id FROM flights INDEXED BY flights_queued WHERE target = ? AND ${startable} ORDER BY invocation_id LIMIT ?`);
  const ofCaller = db.prepare<[string, number, string, string, string, number], IdRow>(`
    SELECT invocation_id FROM flights INDEXED BY flights_queued_by_caller
    WHERE target = ? AND origin = ? AND coalesce(origin_owner, '') = ? AND ${startable} ORDER BY invocation_id LIMIT ?`);
  const ofSameOrigin = db.prepare<[string, number, string], CallerRow>(`${nextCaller} AND origin = ? AND coalesce(origin_owner, '') > ? ORDER BY coalesce(origin_owner, '') LIMIT 1`);
  const ofNextOrigin = db.prepare<[string, number], CallerRow>(`${nextCaller} AND origin > ? ORDER BY origin, coalesce(origin_owner, '') LIMIT 1`);
  const targets = queuedTargetReads(db);
  const count = db.prepare<[string, number], { readonly count: number }>(`SELECT count(*) AS count FROM (SELECT 1 FROM flights INDEXED BY flights_queued WHERE target = ? AND ${waiting} LIMIT ?)`);

  /** Two steps a caller, however much each has queued. */
  function* callers(address: string): Generator<QueuedCaller> {
    let row = ofNextOrigin.get(address, -1);
    while (row !== undefined) {
      yield { originNodeId: nodes.idOf(row.origin), ...(row.owner === '' ? {} : { originOwner: row.owner }) };
      row = ofSameOrigin.get(address, row.origin, row.owner) ?? ofNextOrigin.get(address, row.origin);
    }
  }

  return {
    queued(address, limit, { busy = [], after, caller } = {}) {
      const from = after === undefined ? '' : invocationOfFlight(after);
      const sessions = JSON.stringify(busy);
      const origin = caller === undefined ? undefined : nodes.find(caller.originNodeId);
      if (caller !== undefined && origin === undefined) return [];
      const rows = origin === undefined ? inOrder.all(address, from, sessions, limit) : ofCaller.all(address, origin, caller?.originOwner ?? '', from, sessions, limit);
      return rows.map((row) => flightOfInvocation(row.invocation_id));
    },
    queuedCallers: (address) => [...callers(address)],
    queuedTargets: () => [...targets()],
    queuedCount: (address, atMost = Number.MAX_SAFE_INTEGER) => count.get(address, atMost)?.count ?? 0,
  };
}

/** The agents that something is queued for, held back or not, by address: a step an agent, however much that is. */
export function queuedTargetReads(db: Connection): () => Generator<string> {
  const next = db.prepare<[string], { readonly target: string }>(`SELECT target FROM flights INDEXED BY flights_queued WHERE target > ? AND ${waiting} ORDER BY target LIMIT 1`);
  return function* targets() {
    for (let row = next.get(''); row !== undefined; row = next.get(row.target)) yield row.target;
  };
}
