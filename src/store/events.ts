/** Facts: appended with every change of a durable record, never changed. */
import { createHash } from 'node:crypto';
import { base32 } from '../domain/base32.ts';
import type { EventKind, Fact, Stamp } from '../domain/event.ts';
import type { Hlc } from '../domain/hlc.ts';
import { eventIdOf } from '../domain/ids.ts';
import type { EventId, InvocationId, NodeId } from '../domain/ids.ts';
import type { Connection } from './connection.ts';
import type { NodeNumbers } from './caches.ts';
import { optional } from './flight-row.ts';

export type FactDetail = Readonly<Record<string, string>>;

function newestFact(db: Connection) {
  return db.prepare<[], { number: number }>('SELECT number FROM events ORDER BY number DESC LIMIT 1');
}

export class FactTable {
  readonly #insert;
  readonly #newest;
  readonly #node: number;

  /** @param node the number of this node, whose facts these are */
  constructor(db: Connection, node: number) {
    this.#node = node;
    this.#newest = newestFact(db);
    this.#insert = db.prepare(
      'INSERT INTO events (at_ms, hlc, node, what, invocation_id, peer, detail) VALUES (?, ?, ?, ?, ?, ?, ?)',
    );
  }

  newest(): number {
    return this.#newest.get()?.number ?? 0;
  }

  /** @returns the fact's number, greater than those of all before */
  append(stamp: Stamp, what: EventKind, about: { invocation?: InvocationId; peer?: number | null; detail?: FactDetail } = {}): number {
    const detail = about.detail === undefined ? '{}' : JSON.stringify(about.detail);
    return Number(this.#insert.run(stamp.atMs, stamp.hlc, this.#node, what, about.invocation ?? null, about.peer ?? null, detail).lastInsertRowid);
  }
}

export interface FactRow {
  readonly number: number;
  readonly at_ms: number;
  readonly hlc: Hlc;
  readonly node: number;
  readonly what: EventKind;
  readonly invocation_id: InvocationId | null;
  readonly peer: number | null;
  readonly detail: string;
}

export function factReads(db: Connection, nodes: NodeNumbers) {
  const ofInvocation = db.prepare<[InvocationId], FactRow>('SELECT * FROM events WHERE invocation_id = ? ORDER BY number');
  // Stamps are given in nearly the order in which facts are written, so the greatest is among the newest.
  const ofFacts = db.prepare<[], { hlc: Hlc | null }>(
    'SELECT max(hlc) AS hlc FROM (SELECT hlc FROM events ORDER BY number DESC LIMIT 4096)',
  );
  // Output is stored without a fact: after it comes the fact of the flight's end, unless it still runs.
  const ofRunning = db.prepare<[], { hlc: Hlc | null }>(`
    SELECT max(e.hlc) AS hlc FROM flights f JOIN flight_events e ON e.invocation_id = f.invocation_id AND e.seq = f.last_seq
    WHERE f.state IN ('running', 'waiting')`);
  const newest = newestFact(db);
  return {
    newestFact: (): number => newest.get()?.number ?? 0,
    facts: (id: InvocationId): Fact[] => ofInvocation.all(id).map((row) => factOf(row, nodes)),
    lastHlc: (): Hlc | undefined => {
      const [facts, running] = [ofFacts.get()?.hlc ?? undefined, ofRunning.get()?.hlc ?? undefined];
      return facts === undefined || (running !== undefined && running > facts) ? running : facts;
    },
  };
}

export function factOf(row: FactRow, nodes: NodeNumbers): Fact {
  const nodeId = nodes.idOf(row.node);
  return {
    id: eventId(row.at_ms, nodeId, row.number),
    atMs: row.at_ms,
    hlc: row.hlc,
    nodeId,
    what: row.what,
    ...optional('invocationId', row.invocation_id),
    ...(row.peer === null ? {} : { peerNodeId: nodes.idOf(row.peer) }),
    detail: JSON.parse(row.detail) as FactDetail,
  };
}

/** Of few nodes, and asked for with each fact. */
const hashed = new Map<NodeId, string>();

/** 40 bits. */
function hashOf(nodeId: NodeId): string {
  const known = hashed.get(nodeId);
  if (known !== undefined) return known;
  const hash = base32(createHash('sha256').update(nodeId).digest().readUIntBE(0, 5), 8);
  hashed.set(nodeId, hash);
  return hash;
}

/** A ULID in form: the fact's time, then 40 bits of the node's hash and 40 of the row's number. So it need not be stored. */
function eventId(atMs: number, nodeId: NodeId, number: number): EventId {
  return eventIdOf(base32(atMs, 10) + hashOf(nodeId) + base32(number, 8));
}
