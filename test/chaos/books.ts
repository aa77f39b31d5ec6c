/** What the stopped nodes have on disk, the agents left behind and the callers remember: all that a verdict rests on. */
import Database from 'better-sqlite3';
import type { Trace } from './agents.ts';
import type { CallNote } from './notes.ts';

export interface FlightRecord {
  readonly invocation_id: string;
  readonly origin: number;
  readonly owner: number;
  readonly target: string;
  readonly state: string;
  readonly run: number;
  readonly last_seq: number;
  readonly acked_seq: number | null;
  readonly hold_until_ms: number;
  readonly received_at_ms: number | null;
  readonly started_at_ms: number | null;
  readonly finished_at_ms: number | null;
  readonly cancel_requested_at_ms: number | null;
  readonly verdict_by: string | null;
  readonly error: string | null;
  readonly stdout_bytes: number;
  // Of the invocation
  readonly caller: string;
  readonly address_typed: string;
  readonly rerunnable: number;
  readonly accepted_at_ms: number;
}

export interface DeliveryRecord {
  readonly invocation_id: string;
  readonly status: string;
  readonly attempts: number;
  readonly received_at_ms: number | null;
  readonly attempt_rows: number;
  readonly received_attempts: number;
  readonly open_attempts: number;
}

export interface FactRecord {
  readonly number: number;
  readonly what: string;
  readonly invocation_id: string | null;
  readonly detail: string;
}

export interface EventRecord {
  readonly invocation_id: string;
  readonly seq: number;
  readonly at_ms: number;
  readonly hlc: string;
  readonly kind: string;
  readonly run: number | null;
  readonly state: string | null;
  readonly bytes: number;
}

export interface NodeBooks {
  readonly name: string;
  readonly db: Database.Database;
  readonly clockJumps: number;
  readonly flights: ReadonlyMap<string, FlightRecord>;
  readonly deliveries: ReadonlyMap<string, DeliveryRecord>;
  readonly facts: readonly FactRecord[];
  readonly factsOf: ReadonlyMap<string, readonly FactRecord[]>;
  readonly eventsOf: ReadonlyMap<string, readonly EventRecord[]>;
  /** The mark in each task. */
  readonly marks: ReadonlyMap<string, string>;
  /** What this node accepted, by the mark. */
  readonly acceptedBy: ReadonlyMap<string, readonly string[]>;
  readonly keys: readonly { readonly caller: string; readonly key: string; readonly invocation_id: string }[];
  nameOf(number: number): string;
}

export interface Books {
  readonly nodes: ReadonlyMap<string, NodeBooks>;
  readonly notes: readonly CallNote[];
  readonly traces: readonly Trace[];
  readonly tracesOf: ReadonlyMap<string, readonly Trace[]>;
}

export function openBooks(node: { readonly name: string; readonly databasePath: string; readonly clockJumps: number }, names: ReadonlyMap<string, string>): NodeBooks {
  const db = new Database(node.databasePath, { readonly: true, fileMustExist: true });
  const all = <Row>(sql: string): Row[] => db.prepare<[], Row>(sql).all();
  const numbers = new Map(all<{ number: number; id: string }>('SELECT number, id FROM nodes').map((each) => [each.number, names.get(each.id) ?? each.id]));
  const flights = all<FlightRecord>(
    'SELECT f.*, i.caller, i.address_typed, i.rerunnable FROM invocations i LEFT JOIN flights f ON f.invocation_id = i.id',
  );
  const deliveries = all<DeliveryRecord>(`
    SELECT d.*, (SELECT count(*) FROM delivery_attempts a WHERE a.invocation_id = d.invocation_id) AS attempt_rows,
      (SELECT count(*) FROM delivery_attempts a WHERE a.invocation_id = d.invocation_id AND outcome = 'received') AS received_attempts,
      (SELECT count(*) FROM delivery_attempts a WHERE a.invocation_id = d.invocation_id AND ended_at_ms IS NULL) AS open_attempts
    FROM deliveries d`);
  const facts = all<FactRecord>('SELECT number, what, invocation_id, detail FROM events ORDER BY number');
  const events = all<EventRecord>(
    'SELECT invocation_id, seq, at_ms, hlc, kind, run, state, coalesce(length(bytes), 0) + coalesce((SELECT length(l.bytes) FROM large_bytes l WHERE l.id = large), 0) AS bytes FROM flight_events ORDER BY invocation_id, seq',
  );
  const texts = all<{ invocation_id: string; text: Buffer }>('SELECT invocation_id, iif(large IS NULL, text, (SELECT l.bytes FROM large_bytes l WHERE l.id = large)) AS text FROM payloads');
  const marks = new Map(texts.map(({ invocation_id: id, text }) => [id, text.toString().trim().split(' ')[1] ?? '']));
  const accepted = flights.filter((each) => numbers.get(each.origin) === node.name).map((each) => each.invocation_id);
  return {
    name: node.name,
    db,
    clockJumps: node.clockJumps,
    flights: new Map(flights.map((each) => [each.invocation_id, each])),
    deliveries: new Map(deliveries.map((each) => [each.invocation_id, each])),
    facts,
    factsOf: grouped(facts.filter((each) => each.invocation_id !== null), (each) => each.invocation_id ?? ''),
    eventsOf: grouped(events, (each) => each.invocation_id),
    marks,
    acceptedBy: new Map([...grouped(accepted, (id) => marks.get(id) ?? '')]),
    keys: all('SELECT caller, key, invocation_id FROM idempotency'),
    nameOf: (number) => numbers.get(number) ?? `node ${number}`,
  };
}

export function grouped<Item>(items: readonly Item[], keyOf: (item: Item) => string): Map<string, Item[]> {
  const groups = new Map<string, Item[]>();
  for (const item of items) {
    const key = keyOf(item);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [item]);
    else group.push(item);
  }
  return groups;
}

/** A flight as its origin and its owner have it: one record where they are one node. */
export interface Sides {
  readonly id: string;
  readonly origin: NodeBooks;
  readonly flight: FlightRecord;
  readonly delivery: DeliveryRecord | undefined;
  /** Undefined for a flight of a node's own. */
  readonly ownerBooks: NodeBooks | undefined;
  readonly owned: FlightRecord | undefined;
}

/** Each flight that some node has accepted. */
export function originated(books: Books): Sides[] {
  const sides: Sides[] = [];
  for (const origin of books.nodes.values()) {
    for (const [id, flight] of origin.flights) {
      if (origin.nameOf(flight.origin) !== origin.name) continue;
      const ownerName = origin.nameOf(flight.owner);
      const ownerBooks = ownerName === origin.name ? undefined : books.nodes.get(ownerName);
      sides.push({ id, origin, flight, delivery: origin.deliveries.get(id), ownerBooks, owned: ownerBooks?.flights.get(id) });
    }
  }
  return sides;
}

export function isTerminal(state: string): boolean {
  return ['completed', 'failed', 'cancelled', 'expired', 'indeterminate'].includes(state);
}
