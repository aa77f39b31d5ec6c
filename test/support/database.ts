/** A node's database, read only, beside the node that writes it. */
import Database from 'better-sqlite3';

function read<T>(path: string, use: (db: Database.Database) => T): T {
  const db = new Database(path, { readonly: true, fileMustExist: true, timeout: 5000 });
  try {
    return use(db);
  } finally {
    db.close();
  }
}

/** Rows of each table, by name. */
export function rowCounts(path: string): Readonly<Record<string, number>> {
  return read(path, (db) => {
    const tables = db.prepare<[], { name: string }>("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name").all();
    return Object.fromEntries(tables.map(({ name }) => [name, db.prepare<[], { n: number }>(`SELECT count(*) AS n FROM "${name}"`).get()?.n ?? -1]));
  });
}

export function rows(path: string, sql: string, ...values: readonly unknown[]): readonly Record<string, unknown>[] {
  return read(path, (db) => db.prepare<unknown[], Record<string, unknown>>(sql).all(...values));
}
