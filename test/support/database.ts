/** A node's database, read only, beside the node that writes it. */
import Database from 'better-sqlite3';
import { waitFor } from './wait-for.ts';

function read<T>(path: string, use: (db: Database.Database) => T): T {
  const db = new Database(path, { readonly: true, fileMustExist: true, timeout: 5000 });
  try {
    return use(db);
  } finally {
    db.close();
  }
}

/** Rows of each table, by name; without the audit, which is where it stands that something was refused and nothing stored. */
export function rowCounts(path: string): Readonly<Record<string, number>> {
  return read(path, (db) => {
    const tables = db.prepare<[], { name: string }>("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' AND name <> 'audit' ORDER BY name").all();
    return Object.fromEntries(tables.map(({ name }) => [name, db.prepare<[], { n: number }>(`SELECT count(*) AS n FROM "${name}"`).get()?.n ?? -1]));
  });
}

/**
 * The counts of several databases once nothing changes any more: receipts and registrations of what went before may
 * still be on their way.
 */
export async function settledRowCounts(...paths: readonly string[]): Promise<readonly Readonly<Record<string, number>>[]> {
  const look = (): readonly Readonly<Record<string, number>>[] => paths.map(rowCounts);
  let last = look();
  let unchanged = 0;
  return waitFor('the databases to be at rest', () => {
    const now = look();
    unchanged = JSON.stringify(now) === JSON.stringify(last) ? unchanged + 1 : 0;
    last = now;
    return unchanged >= 3 ? now : undefined;
  }, { timeoutMs: 15_000, pollMs: 60 });
}

export function rows(path: string, sql: string, ...values: readonly unknown[]): readonly Record<string, unknown>[] {
  return read(path, (db) => db.prepare<unknown[], Record<string, unknown>>(sql).all(...values));
}
