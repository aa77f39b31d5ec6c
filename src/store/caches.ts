/** What the writer keeps in memory between statements. All of it can be read again, so a rollback simply drops it. */
import { internal } from '../domain/errors.ts';
import type { FlightState } from '../domain/flight.ts';
import type { NodeId } from '../domain/ids.ts';
import type { Connection } from './connection.ts';

/** Node ids and their numbers. A number is never given to another id. */
export class NodeNumbers {
  readonly #numbers = new Map<string, number>();
  readonly #ids = new Map<number, NodeId>();
  readonly #byId;
  readonly #byNumber;

  constructor(db: Connection) {
    this.#byId = db.prepare<[string], { number: number }>('SELECT number FROM nodes WHERE id = ?');
    this.#byNumber = db.prepare<[number], { id: NodeId }>('SELECT id FROM nodes WHERE number = ?');
  }

  find(id: NodeId): number | undefined {
    const known = this.#numbers.get(id);
    if (known !== undefined) return known;
    const stored = this.#byId.get(id)?.number;
    if (stored !== undefined) this.remember(id, stored);
    return stored;
  }

  idOf(number: number): NodeId {
    const known = this.#ids.get(number);
    if (known !== undefined) return known;
    const stored = this.#byNumber.get(number)?.id;
    if (stored === undefined) throw internal(`the store has no node ${number}`);
    this.remember(stored, number);
    return stored;
  }

  clear(): void {
    this.#numbers.clear();
    this.#ids.clear();
  }

  protected remember(id: NodeId, number: number): void {
    this.#numbers.set(id, number);
    this.#ids.set(number, id);
  }
}

/** As the writer has them: an id that is new gets a number. */
export class GrowingNodeNumbers extends NodeNumbers {
  readonly #insert;

  constructor(db: Connection) {
    super(db);
    this.#insert = db.prepare<[string]>('INSERT INTO nodes (id) VALUES (?)');
  }

  of(id: NodeId): number {
    const known = this.find(id);
    if (known !== undefined) return known;
    const number = Number(this.#insert.run(id).lastInsertRowid);
    this.remember(id, number);
    return number;
  }
}

/** The moves of flights in one batch, written to `flight_counts` once, before it commits. */
export class StateTally {
  readonly #moves: { from: FlightState | undefined; to: FlightState | undefined }[] = [];
  readonly #add;

  constructor(db: Connection) {
    this.#add = db.prepare<[string, number]>(
      'INSERT INTO flight_counts (state, count) VALUES (?, ?) ON CONFLICT (state) DO UPDATE SET count = count + excluded.count',
    );
  }

  /** Undefined: it was not stored before, or is not any more. */
  moved(from: FlightState | undefined, to: FlightState | undefined): void {
    if (from !== to) this.#moves.push({ from, to });
  }

  mark(): number {
    return this.#moves.length;
  }

  backTo(mark: number): void {
    this.#moves.length = mark;
  }

  flush(): void {
    const sums = new Map<FlightState, number>();
    const add = (state: FlightState, by: number): unknown => sums.set(state, (sums.get(state) ?? 0) + by);
    for (const { from, to } of this.#moves) {
      if (from !== undefined) add(from, -1);
      if (to !== undefined) add(to, 1);
    }
    this.#moves.length = 0;
    for (const [state, by] of sums) if (by !== 0) this.#add.run(state, by);
  }
}

/** How many flights are in each state: what the tally wrote with the last commit. */
export function flightCounts(db: Connection): () => Readonly<Partial<Record<FlightState, number>>> {
  const counts = db.prepare<[], { state: FlightState; count: number }>('SELECT state, count FROM flight_counts WHERE count > 0');
  return () => Object.fromEntries(counts.all().map(({ state, count }) => [state, count]));
}
