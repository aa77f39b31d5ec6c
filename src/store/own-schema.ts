/**
 * Programs that a database brings along. Triggers and views run inside every statement that touches their tables, so that a file
 * from elsewhere could change what a commit of this node does: none but those of the migrations is taken.
 */
import type { Connection } from './connection.ts';
import { migrations } from './migrations.ts';

/** One text for what SQLite stores of it: quotes and white space are as it was written, or as a renaming left them. */
const plain = (sql: string): string => sql.replaceAll(/["`[\]]/g, '').replaceAll(/\s+/g, ' ').trim().toLowerCase();

let known: ReadonlySet<string> | undefined;

function triggersOf(steps: readonly string[]): ReadonlySet<string> {
  return new Set(steps.flatMap((sql) => sql.match(/CREATE TRIGGER\b[\s\S]*?\bEND(?=;)/g) ?? []).map(plain));
}

/** What is in it that no migration made, in words; undefined when nothing is. */
export function strangerIn(db: Pick<Connection, 'prepare'>): string | undefined {
  known ??= triggersOf(migrations);
  const rows = db.prepare("SELECT type, name, sql FROM sqlite_schema WHERE type IN ('trigger', 'view') OR (type = 'table' AND coalesce(rootpage, 0) = 0)").all() as { type: string; name: string; sql: string | null }[];
  const stranger = rows.find(({ type, sql }) => type !== 'trigger' || known?.has(plain(sql ?? '')) !== true);
  return stranger === undefined ? undefined : `the ${stranger.type === 'table' ? 'virtual table' : stranger.type} ${JSON.stringify(stranger.name.slice(0, 60))}`;
}
