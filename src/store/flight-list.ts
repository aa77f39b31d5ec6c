/**
 * Lists of flights, newest first. A filter is answered by merging walks, each down one index in the order of ids, of
 * which every row that is read matches: nothing is filtered that grows with history. What is open is looked through in
 * the index of its state.
 */
import { parseAddress } from '../domain/address.ts';
import type { Address } from '../domain/address.ts';
import { invalid } from '../domain/errors.ts';
import { flightStates, isTerminal } from '../domain/flight.ts';
import type { FlightState } from '../domain/flight.ts';
import type { InvocationId } from '../domain/ids.ts';
import type { FlightFilter } from '../domain/messages.ts';
import type { Flight, Page, PageRequest } from '../domain/records.ts';
import type { NodeNumbers } from './caches.ts';
import type { Connection } from './connection.ts';
import { decodeCursor, encodeCursor } from './cursor.ts';
import { flightOf } from './flight-row.ts';
import { flightReads } from './flights.ts';
import { lastId } from './id-range.ts';
import { newestOf } from './walk.ts';
import type { ReadBelow } from './walk.ts';

interface IdRow {
  readonly invocation_id: InvocationId;
}

interface Condition {
  readonly sql: string;
  readonly values: readonly (string | number)[];
}

type Filter = FlightFilter & { readonly family?: InvocationId };

/** As the index has it: an agent and a node. */
const placeSql = "substr(target, 1, instr(target, '#'))";

export class FlightList {
  readonly #db: Connection;
  readonly #nodes: NodeNumbers;
  readonly #reads;
  readonly #family;
  readonly #group;
  readonly #nextPlace;
  readonly #walks = new Map<string, ReturnType<FlightList['prepare']>>();
  readonly #read;

  constructor(db: Connection, nodes: NodeNumbers) {
    this.#db = db;
    this.#nodes = nodes;
    this.#reads = flightReads(db);
    this.#family = db.prepare<[string], { id: InvocationId }>(`
      WITH RECURSIVE family (id) AS (VALUES (?) UNION SELECT i.id FROM family JOIN invocations i ON i.parent_id = family.id) SELECT id FROM family`);
    this.#group = db.prepare<[string], { id: InvocationId }>('SELECT id FROM invocations WHERE group_id = ?');
    this.#nextPlace = db.prepare<[string], { place: string }>(`
      SELECT ${placeSql} AS place FROM flights INDEXED BY flights_ended_by_place
      WHERE finished_at_ms IS NOT NULL AND ${placeSql} > ? ORDER BY ${placeSql} LIMIT 1`);
    // One moment: what goes from one index to another meanwhile is in the list once.
    this.#read = db.transaction((filter: Filter, { limit, after }: PageRequest) => this.#page(filter, limit, after));
  }

  page(filter: Filter, request: PageRequest): Page<Flight> {
    checkLimit(request.limit);
    return this.#read(filter, request);
  }

  #page(filter: Filter, limit: number, after: string | undefined): Page<Flight> {
    const before = after === undefined ? lastId : decodeCursor('flights', after);
    const ids = this.#ids(filter, before, limit + 1);
    const items: Flight[] = [];
    for (const id of ids.slice(0, limit)) {
      const row = this.#reads.get.get(id);
      if (row !== undefined) items.push(flightOf(row, this.#nodes));
    }
    const last = ids[limit - 1];
    return { items, ...(ids.length > limit && last !== undefined ? { next: encodeCursor('flights', last) } : {}) };
  }

  #ids({ state, agent, family, group }: Filter, before: string, count: number): InvocationId[] {
    const address = agent === undefined ? undefined : parseAddress(agent);
    if (family !== undefined || group !== undefined) return this.#among(this.#few(family, group), { state, address, before, count });
    if (address !== undefined) return newestOf(this.#listsOf(address, state === undefined ? flightStates : [state]), before, count);
    const list = state === undefined ? this.#walk('1', '', []) : this.#walk('state = ?', 'flights_by_state', [state]);
    return newestOf([list], before, count);
  }

  #listsOf(address: Address, states: readonly FlightState[]): ReadBelow[] {
    const ended = this.#ended(address);
    return states.flatMap((state) => {
      if (isTerminal(state)) return ended.map((of) => of(state));
      const { sql, values } = targetCondition(address);
      return [this.#walk(`state = ? AND ${sql}`, 'flights_by_state', [state, ...values])];
    });
  }

  /** A workspace without a node may be on each node that the agent was on. */
  #ended(address: Address): ((state: FlightState) => ReadBelow)[] {
    const { agent, node, workspace } = address;
    const places = node === undefined ? this.#placesOf(agent) : [`@${agent}@${node}#`];
    return places.map((place) =>
      workspace === undefined
        ? (state) => this.#walk(`${placeSql} = ? AND state = ? AND finished_at_ms IS NOT NULL`, 'flights_ended_by_place', [place, state])
        : (state) => this.#walk('target = ? AND state = ? AND finished_at_ms IS NOT NULL', 'flights_ended_by_target', [`${place}${workspace}`, state]),
    );
  }

  /** One step in the index for each. */
  #placesOf(agent: string): string[] {
    const start = `@${agent}@`;
    const places: string[] = [];
    for (let next = this.#nextPlace.get(start); next?.place.startsWith(start) === true; next = this.#nextPlace.get(next.place)) places.push(next.place);
    return places;
  }

  #few(family: InvocationId | undefined, group: string | undefined): readonly InvocationId[] {
    const ofGroup = group === undefined ? undefined : this.#group.all(group).map((each) => each.id);
    if (family === undefined) return ofGroup ?? [];
    const ofFamily = this.#family.all(family).map((each) => each.id);
    if (ofGroup === undefined) return ofFamily;
    const both = new Set(ofGroup);
    return ofFamily.filter((id) => both.has(id));
  }

  /** One look at each: a family, or a group, is small beside all that is stored. */
  #among(these: readonly InvocationId[], { state, address, before, count }: { readonly state: FlightState | undefined; readonly address: Address | undefined; readonly before: string; readonly count: number }): InvocationId[] {
    const { sql, values } = address === undefined ? { sql: '1', values: [] } : targetCondition(address);
    const found: InvocationId[] = [];
    for (const id of these.filter((each) => each < before).toSorted().toReversed()) {
      if (found.length === count) break;
      const look = this.#walk(`invocation_id = ?${state === undefined ? '' : ' AND state = ?'} AND ${sql}`, '', [id, ...(state === undefined ? [] : [state]), ...values]);
      found.push(...look(before, 1));
    }
    return found;
  }

  #walk(where: string, index: string, values: readonly (string | number)[]): ReadBelow {
    const key = `${index} ${where}`;
    const walk = this.#walks.get(key) ?? this.prepare(where, index);
    this.#walks.set(key, walk);
    return (before, count) => walk.all(...values, before, count).map((each) => each.invocation_id);
  }

  private prepare(where: string, index: string) {
    const by = index === '' ? '' : ` INDEXED BY ${index}`;
    return this.#db.prepare<(string | number)[], IdRow>(
      `SELECT invocation_id FROM flights${by} WHERE ${where} AND invocation_id < ? ORDER BY invocation_id DESC LIMIT ?`,
    );
  }
}

/** Of the agent, on that node and in that workspace if they are given. */
function targetCondition({ agent, node, workspace }: Address): Condition {
  const start = node === undefined ? `@${agent}@` : `@${agent}@${node}#`;
  const starts = { sql: 'substr(target, 1, ?) = ?', values: [start.length, start] };
  if (workspace === undefined) return starts;
  const end = `#${workspace}`;
  return { sql: `${starts.sql} AND substr(target, -?) = ?`, values: [...starts.values, end.length, end] };
}

/** @throws BrokerError `invalid` */
export function checkLimit(limit: number): void {
  if (!Number.isInteger(limit) || limit < 1 || limit > 1000) throw invalid(`a page has 1 to 1000 items, not ${limit}`);
}
