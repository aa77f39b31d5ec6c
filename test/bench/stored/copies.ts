/** Rows of a few invocations, written again as others': with ids and times of their own, by the database itself. */
import type { Connection } from '../../../src/store/connection.ts';

/** What grows with history, and how its rows say whose they are: as SQL of the row `p`, beside the mapping `m`. */
const tables: Readonly<Record<string, string>> = {
  invocations: 'p.id = m.pattern',
  payloads: 'p.invocation_id = m.pattern',
  payload_files: 'p.invocation_id = m.pattern',
  idempotency: 'p.invocation_id = m.pattern',
  flights: 'p.invocation_id = m.pattern',
  flight_events: 'p.invocation_id = m.pattern',
  deliveries: 'p.invocation_id = m.pattern',
  delivery_attempts: 'p.invocation_id = m.pattern',
  events: 'p.invocation_id = m.pattern',
  replies: 'p.invocation_id = m.pattern',
  agent_sessions: "p.id = 'ses_' || substr(m.pattern, 5)",
};
const names = Object.keys(tables);

/** Ids of other records in a row, each by its prefix: all share their ULID with an invocation of the same copy. */
const references: Readonly<Record<string, string>> = { parent_id: 'inv', root_id: 'inv', redrive_of: 'inv', group_id: 'grp', session_id: 'ses' };

export interface Made {
  readonly copy: number;
  readonly pattern: string;
  readonly made: string;
  /** How much later it happened, ms. */
  readonly laterMs: number;
}

/** The database `pattern` is attached to the connection, which holds the one to be filled. */
export class Copies {
  readonly #db: Connection;
  readonly #remember;
  readonly #statements;

  constructor(db: Connection) {
    this.#db = db;
    db.exec('CREATE TEMP TABLE made (copy INTEGER, pattern TEXT, made TEXT, later INTEGER, PRIMARY KEY (copy, pattern)) WITHOUT ROWID');
    db.exec('CREATE INDEX pattern.idempotency_by_invocation ON idempotency (invocation_id)');
    this.#remember = db.prepare('INSERT INTO made VALUES (?, ?, ?, ?)');
    this.#statements = [
      ...names.map((table) => this.#copying(table)),
      `INSERT INTO main.flight_counts SELECT p.state, count(*) FROM made m JOIN pattern.flights p ON p.invocation_id = m.pattern WHERE 1 GROUP BY p.state
       ON CONFLICT (state) DO UPDATE SET count = count + excluded.count`,
      'UPDATE main.stored_sum SET bytes = bytes + (SELECT coalesce(sum(p.stored_bytes), 0) FROM made m JOIN pattern.flights p ON p.invocation_id = m.pattern)',
      'DELETE FROM made',
    ].map((sql) => db.prepare(sql));
  }

  /** In one transaction. In the order of their ids, each copy of a pattern's rows whole or up to where it ends. */
  write(all: Iterable<Made>): void {
    this.#db.transaction(() => {
      for (const { copy, pattern, made, laterMs } of all) this.#remember.run(copy, pattern, made, laterMs);
      for (const statement of this.#statements) statement.run();
    })();
  }

  #copying(table: string): string {
    const columns = this.#columns(table).map((column) => [column, this.#value(table, column)] as const);
    return `INSERT INTO main.${table} (${columns.map(([column]) => column).join(', ')})
      SELECT ${columns.map(([, value]) => value).join(', ')} FROM made m CROSS JOIN pattern.${table} p WHERE ${tables[table]}`;
  }

  /** Without those that are computed, and without the number that a fact gets when it is written. */
  #columns(table: string): string[] {
    const all = this.#db.prepare('SELECT name, hidden FROM pragma_table_xinfo(?)').all(table) as { name: string; hidden: number }[];
    return all.filter(({ name, hidden }) => hidden === 0 && !(table === 'events' && name === 'number')).map(({ name }) => name);
  }

  #value(table: string, column: string): string {
    const prefix = references[column];
    if (column === 'invocation_id' || (table === 'invocations' && column === 'id')) return 'm.made';
    if (table === 'agent_sessions' && column === 'id') return "'ses_' || substr(m.made, 5)";
    if (table === 'delivery_attempts' && column === 'id') return "'att_' || substr(m.made, 5, 24) || printf('%02d', p.number)";
    if (table === 'idempotency' && column === 'key') return "p.key || '-' || m.copy";
    if (column === 'detail') return 'replace(p.detail, substr(m.pattern, 5), substr(m.made, 5))';
    if (prefix !== undefined) {
      return `iif(p.${column} IS NULL, NULL, '${prefix}_' || substr((SELECT r.made FROM made r WHERE r.copy = m.copy AND r.pattern = 'inv_' || substr(p.${column}, 5)), 5))`;
    }
    if (column.endsWith('hlc')) return `printf('%012x-%s', p.${column.replace(/hlc$/, 'at_ms')} + m.later, substr(p.${column}, 14))`;
    return /_(at|until)_ms$|^at_ms$|^until_ms$/.test(column) ? `p.${column} + m.later` : `p.${column}`;
  }
}

/** Runs `fill` without the indexes of what grows, and makes them again: sorted at once they take a fifth of the time. */
export function withoutIndexes(db: Connection, fill: () => void): void {
  const indexes = db.prepare(`
    SELECT name, sql FROM main.sqlite_schema WHERE type = 'index' AND sql IS NOT NULL AND tbl_name IN (${names.map((name) => `'${name}'`).join(', ')})`).all() as { name: string; sql: string }[];
  for (const { name } of indexes) db.exec(`DROP INDEX main.${name}`);
  try {
    fill();
  } finally {
    for (const { sql } of indexes) db.exec(sql);
  }
}
