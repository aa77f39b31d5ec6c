/** What the databases of several nodes say of one registry, row by row, bytes and all; and in what they differ. */
import { Registration } from '../../src/gen/beckon/v1/record.ts';
import { rows } from './database.ts';

export interface RegistryBook {
  readonly name: string;
  readonly nodeId: string;
  readonly path: string;
}

type Table = ReadonlyMap<string, string>;

/** One database's rows, each by what it is of. */
interface Pages {
  readonly heads: Table;
  readonly registrations: Table;
  readonly members: Table;
  /** This node's agents, as it has them itself. */
  readonly own: Table;
}

const hex = (value: unknown): string => (value instanceof Uint8Array ? Buffer.from(value).toString('hex') : JSON.stringify(value));

function table(path: string, sql: string, key: readonly string[]): Table {
  return new Map(rows(path, sql).map((row) => {
    const rest = Object.entries(row).filter(([column]) => !key.includes(column));
    return [key.map((column) => String(row[column])).join(' '), rest.map(([column, value]) => `${column}=${hex(value)}`).join(' ')];
  }));
}

/** Compared as its owner means it: labels in any order. */
function meaning(row: { readonly harness: unknown; readonly capabilities: readonly string[]; readonly labels: Readonly<Record<string, string>>; readonly description: unknown; readonly isDefault: boolean; readonly available: boolean; readonly why: unknown }): string {
  return JSON.stringify({ ...row, labels: Object.entries(row.labels).map(([key, value]) => `${key}=${value}`).toSorted() });
}

function ownOf(path: string): Table {
  return new Map(rows(path, "SELECT address, harness, capabilities, labels, description, is_default, available, unavailable_why FROM agents WHERE visibility = 'mesh'").map((row) => [
    String(row['address']),
    meaning({
      harness: row['harness'], capabilities: JSON.parse(String(row['capabilities'])) as string[], labels: JSON.parse(String(row['labels'])) as Record<string, string>, description: row['description'],
      isDefault: row['is_default'] === 1, available: row['available'] === 1, why: row['unavailable_why'] ?? '',
    }),
  ]));
}

function pagesOf({ path }: RegistryBook): Pages {
  return {
    heads: table(path, 'SELECT nodes.id, h.epoch, h.version, count, root_hash, payload, signature FROM registry_heads h JOIN nodes ON number = node', ['id']),
    registrations: table(path, 'SELECT id, address, payload, signature FROM registrations JOIN nodes ON number = node', ['id', 'address']),
    members: table(path, 'SELECT nodes.id, members.name, owner, leaf, issuer, addresses, departure FROM members JOIN nodes ON number = node', ['id']),
    own: ownOf(path),
  };
}

/** What an owner signed, in the words of its own table. */
function signedOf(path: string, nodeId: string): Table {
  return new Map(rows(path, 'SELECT address, payload FROM registrations JOIN nodes ON number = node WHERE id = ?', nodeId).map(({ address, payload }) => {
    const { harness, capabilities, labels, description, isDefault, available, unavailableWhy } = Registration.decode(payload as Uint8Array);
    return [String(address), meaning({ harness, capabilities, labels, description, isDefault, available, why: unavailableWhy })];
  }));
}

function compare(what: string, a: Table, b: Table): string[] {
  return [...new Set([...a.keys(), ...b.keys()])].flatMap((key) => {
    const [here, there] = [a.get(key), b.get(key)];
    if (here === there) return [];
    return [`${what}: ${key}${here === undefined ? ' is missing at the first' : there === undefined ? ' is missing at the second' : ' differs'}`];
  });
}

/** Rows of one node's only. */
const only = (of: Table, nodeId: string): Table => new Map([...of].filter(([key]) => key.split(' ')[0] === nodeId));

/**
 * Each node's head, registrations and certificate are the same at all others, to the byte, and mean what the node itself
 * has. @returns what is not so; empty when the registry is one
 */
export function differences(books: readonly RegistryBook[]): readonly string[] {
  const pages = new Map(books.map((book) => [book, pagesOf(book)]));
  return books.flatMap((owner) => {
    const others = books.filter((book) => book !== owner);
    const [first, ...rest] = others;
    const pagesOfFirst = first === undefined ? undefined : pages.get(first);
    if (first === undefined || pagesOfFirst === undefined) return [];
    const found = rest.flatMap((other) => (['heads', 'registrations', 'members'] as const).flatMap((kind) => compare(`${kind} of ${owner.name} at ${first.name} and ${other.name}`, only(pagesOfFirst[kind], owner.nodeId), only(pages.get(other)?.[kind] ?? new Map(), owner.nodeId))));
    if (!pagesOfFirst.heads.has(owner.nodeId)) found.push(`${first.name} has no head of ${owner.name}`);
    if (!pagesOfFirst.members.has(owner.nodeId)) found.push(`${first.name} has no certificate of ${owner.name}`);
    return [...found, ...compare(`agents of ${owner.name} as ${first.name} and itself has them`, signedOf(first.path, owner.nodeId), pages.get(owner)?.own ?? new Map())];
  });
}

/** Registrations in all, as the owners have them: a comparison of nothing proves nothing. */
export function ownCount(books: readonly RegistryBook[]): number {
  return books.reduce((sum, { path }) => sum + ownOf(path).size, 0);
}
