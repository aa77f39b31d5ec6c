/**
 * Lists of flights, newest first. A filter is answered by merging a few walks, each down one index in the order of ids
 * and ended by the page's size: open flights by state (they are few), ended ones by agent, target or peer and state.
 */
import { isFullyQualified, parseAddress } from '../domain/address.ts';
import { invalid } from '../domain/errors.ts';
import { flightStates, isTerminal } from '../domain/flight.ts';
import type { FlightState } from '../domain/flight.ts';
import type { InvocationId, NodeId } from '../domain/ids.ts';
import type { FlightFilter } from '../domain/messages.ts';
import type { Flight, Page, PageRequest } from '../domain/records.ts';
import type { NodeNumbers } from './caches.ts';
import type { Connection } from './connection.ts';
import { decodeCursor, encodeCursor } from './cursor.ts';
import { flightOf } from './flight-row.ts';
import { flightReads, lastId } from './flights.ts';

interface IdRow {
  readonly invocation_id: InvocationId;
}

/** A condition beside state and cursor: its SQL and its values. */
interface Condition {
  readonly index: string;
  readonly sql: string;
  readonly values: readonly (string | number)[];
}

type Filter = FlightFilter & { readonly nodeId?: NodeId; readonly family?: InvocationId };

export class FlightList {
  readonly #db: Connection;
  readonly #nodes: NodeNumbers;
  readonly #self: NodeId;
  readonly #reads;
  readonly #children;
  readonly #group;
  readonly #walks = new Map<string, ReturnType<FlightList['prepare']>>();

  constructor(db: Connection, nodes: NodeNumbers, self: NodeId) {
    this.#db = db;
    this.#nodes = nodes;
    this.#self = self;
    this.#reads = flightReads(db);
    this.#children = db.prepare<[string], { id: InvocationId }>('SELECT id FROM invocations WHERE parent_id = ?');
    this.#group = db.prepare<[string], { id: InvocationId }>('SELECT id FROM invocations WHERE group_id = ?');
  }

  page(filter: Filter, { limit, after }: PageRequest): Page<Flight> {
    checkLimit(limit);
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

  #ids(filter: Filter, before: string, count: number): InvocationId[] {
    const conditions = this.#conditions(filter);
    if (conditions === undefined) return [];
    if (filter.family !== undefined) return this.#among(this.#family(filter.family), filter, conditions, before, count);
    if (filter.group !== undefined) return this.#among(this.#group.all(filter.group).map((each) => each.id), filter, conditions, before, count);
    const [first] = conditions;
    if (first === undefined && filter.state === undefined) return this.#walk('1', '', [before, count]);
    const states: readonly FlightState[] = filter.state === undefined ? flightStates : [filter.state];
    const sql = conditions.map((each) => ` AND ${each.sql}`).join('');
    const values = conditions.flatMap((each) => each.values);
    const ids = states.flatMap((state) => {
      if (first === undefined) return this.#walk('state = ?', 'flights_by_state', [state, before, count]);
      const index = isTerminal(state) ? first.index : 'flights_by_state';
      const ended = isTerminal(state) ? ' AND finished_at_ms IS NOT NULL' : '';
      return this.#walk(`state = ?${ended}${sql}`, index, [state, ...values, before, count]);
    });
    return ids.toSorted((a, b) => (a < b ? 1 : -1)).slice(0, count);
  }

  #family(head: InvocationId): readonly InvocationId[] {
    const family = new Set([head]);
    for (const id of family) for (const child of this.#children.all(id)) family.add(child.id);
    return [...family];
  }

  /** One look at each: a family, or a group, is small beside all that is stored. */
  #among(these: readonly InvocationId[], { state, group }: Filter, conditions: readonly Condition[], before: string, count: number): InvocationId[] {
    const ofGroup = group === undefined ? undefined : new Set(this.#group.all(group).map((each) => each.id));
    const sql = conditions.map((each) => ` AND ${each.sql}`).join('');
    const values = conditions.flatMap((each) => each.values);
    const where = `invocation_id = ?${state === undefined ? '' : ' AND state = ?'}${sql}`;
    return these
      .filter((id) => ofGroup?.has(id) !== false)
      .toSorted((a, b) => (a < b ? 1 : -1))
      .filter((id) => this.#walk(where, '', [id, ...(state === undefined ? [] : [state]), ...values, before, 1]).length > 0)
      .slice(0, count);
  }

  /** The most selective first: its index is the one walked. Undefined when nothing can match. */
  #conditions({ agent, nodeId }: Filter): Condition[] | undefined {
    const conditions: Condition[] = [];
    if (agent !== undefined) conditions.push(...agentConditions(agent));
    // Every flight stored here has this node as its origin or its owner.
    if (nodeId !== undefined && nodeId !== this.#self) {
      const number = this.#nodes.find(nodeId);
      if (number === undefined) return undefined;
      conditions.push({ index: 'flights_ended_by_peer', sql: 'peer = ?', values: [number] });
    }
    return conditions;
  }

  #walk(where: string, index: string, values: readonly (string | number)[]): InvocationId[] {
    const key = `${index} ${where}`;
    const walk = this.#walks.get(key) ?? this.prepare(where, index);
    this.#walks.set(key, walk);
    return walk.all(...values).map((each) => each.invocation_id);
  }

  private prepare(where: string, index: string) {
    const by = index === '' ? '' : ` INDEXED BY ${index}`;
    return this.#db.prepare<(string | number)[], IdRow>(
      `SELECT invocation_id FROM flights${by} WHERE ${where} AND invocation_id < ? ORDER BY invocation_id DESC LIMIT ?`,
    );
  }
}

/** A whole address is one instance; otherwise the agent's name, and its node if that is given. */
function agentConditions(text: string): Condition[] {
  const address = parseAddress(text);
  if (isFullyQualified(address)) {
    const target = `@${address.agent}@${address.node}#${address.workspace}`;
    return [{ index: 'flights_ended_by_target', sql: 'target = ?', values: [target] }];
  }
  const conditions: Condition[] = [{ index: 'flights_ended_by_agent', sql: 'agent = ?', values: [address.agent] }];
  const { node, workspace } = address;
  if (node !== undefined) {
    const start = `@${address.agent}@${node}#`;
    conditions.push({ index: '', sql: 'substr(target, 1, ?) = ?', values: [start.length, start] });
  }
  if (workspace !== undefined) {
    const end = `#${workspace}`;
    conditions.push({ index: '', sql: 'substr(target, -?) = ?', values: [end.length, end] });
  }
  return conditions;
}

/** @throws BrokerError `invalid` */
export function checkLimit(limit: number): void {
  if (!Number.isInteger(limit) || limit < 1 || limit > 1000) throw invalid(`a page has 1 to 1000 items, not ${limit}`);
}
