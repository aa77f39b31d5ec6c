/** All that a store holds, row by row, and what is other than it was. Read beside the node that writes it. */
import Database from 'better-sqlite3';
import { createHash } from 'node:crypto';
import { waitFor } from './wait-for.ts';

/** Rows of each table as JSON, with how often each is there. */
export type Contents = ReadonlyMap<string, ReadonlyMap<string, number>>;

export interface Change {
  readonly table: string;
  readonly what: 'added' | 'gone';
  /** The row as JSON. */
  readonly row: string;
}

/** What changes by the mere passing of time, or by a peer that is heard: said of it is nothing that anybody could forge. */
const passing: Readonly<Record<string, readonly string[]>> = {
  nodes: ['epoch', 'prior_epoch'],
  members: ['last_seen_ms'],
};

export function contentsOf(path: string): Contents {
  const db = new Database(path, { readonly: true, fileMustExist: true, timeout: 5000 });
  try {
    // One snapshot of all tables.
    return db.transaction(() => new Map(tablesOf(db).map((table) => [table, rowsOf(db, table)])))();
  } finally {
    db.close();
  }
}

/** The same once nothing changes any more: words of before may still be on their way. */
export async function restingContents(path: string): Promise<Contents> {
  let last = contentsOf(path);
  let unchanged = 0;
  return waitFor(`${path} to be at rest`, () => {
    const now = contentsOf(path);
    unchanged = changesOf(last, now).length === 0 ? unchanged + 1 : 0;
    last = now;
    return unchanged >= 3 ? now : undefined;
  }, { timeoutMs: 15_000, pollMs: 50 });
}

export function changesOf(before: Contents, after: Contents): Change[] {
  return [...new Set([...before.keys(), ...after.keys()])].flatMap((table) => {
    const [was, is] = [before.get(table), after.get(table)];
    return [...more(is, was).map((row): Change => ({ table, what: 'added', row })), ...more(was, is).map((row): Change => ({ table, what: 'gone', row }))];
  });
}

/** Rows that `these` has more often than `those`. */
function more(these: ReadonlyMap<string, number> | undefined, those: ReadonlyMap<string, number> | undefined): string[] {
  return [...(these ?? [])].flatMap(([row, count]) => Array.from({ length: Math.max(0, count - (those?.get(row) ?? 0)) }, () => row));
}

function tablesOf(db: Database.Database): string[] {
  const all = db.prepare<[], { name: string }>("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name").all();
  return all.map(({ name }) => name);
}

function rowsOf(db: Database.Database, table: string): Map<string, number> {
  const left = new Set(passing[table]);
  const counts = new Map<string, number>();
  for (const row of db.prepare<[], Record<string, unknown>>(`SELECT * FROM "${table}"`).iterate()) {
    const text = JSON.stringify(Object.fromEntries(Object.entries(row).flatMap(([name, value]) => (left.has(name) ? [] : [[name, shown(value)]]))));
    counts.set(text, (counts.get(text) ?? 0) + 1);
  }
  return counts;
}

/** Bytes by their length and hash: a task may be large. */
function shown(value: unknown): unknown {
  if (!Buffer.isBuffer(value)) return value;
  return `${value.length} bytes ${createHash('sha256').update(value).digest('hex').slice(0, 16)}`;
}
