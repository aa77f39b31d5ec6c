/**
 * What an attack may leave in the audit: rows of the kinds that its case names, and of each of them one. Of refusals the node tells the
 * first few of a window in rows of their own and counts the others, in rows at its end (broker/audit-book.ts): so one may be among those that
 * are counted, and at a window's end any case may see the count of those before it. All of them are looked at when the node has ended.
 */
import Database from 'better-sqlite3';
import type { AuditKind, RefusalKind } from '../../src/domain/audit.ts';
import { mostTold } from '../../src/broker/audit-book.ts';
import { changesOf } from './store-contents.ts';
import type { Contents } from './store-contents.ts';

/** As the table has it. */
interface Row {
  readonly kind: AuditKind;
  readonly who: string;
  readonly whence: string;
  readonly about: string;
}

const refusals: Readonly<Record<RefusalKind, true>> = { 'policy.denied': true, 'invite.refused': true, 'enrolment.refused': true, 'renewal.refused': true, 'session.refused': true, 'record.refused': true, 'flight.refused': true };
const isCounted = (kind: AuditKind): boolean => Object.hasOwn(refusals, kind);

/** @returns what is shown of it. @throws when the audit has other kinds than those, or lacks one of them */
export function expectAudit(before: Contents, after: Contents, kinds: readonly AuditKind[]): string {
  const flaw = auditFlaw(before, after, kinds);
  if (flaw !== undefined) throw new Error(flaw);
  return kinds.join(', ');
}

export function auditFlaw(before: Contents, after: Contents, kinds: readonly AuditKind[]): string | undefined {
  const changes = changesOf(before, after).filter(({ table }) => table === 'audit');
  const gone = changes.filter(({ what }) => what === 'gone');
  if (gone.length > 0) return `rows of the audit are other than they were, or gone: ${gone.map(({ row }) => row).join('\n')}`;
  const earlier = [...(before.get('audit')?.keys() ?? [])].map(rowOf);
  const added = changes.map(({ row }) => rowOf(row));
  const others = added.filter((row, index) => !kinds.includes(row.kind) && !isCount(row, [...earlier, ...added.slice(0, index)]));
  if (others.length > 0) return `the audit has what the case does not name:\n${others.map((row) => JSON.stringify(row)).join('\n')}`;
  const missing = kinds.filter((kind) => !added.some((row) => row.kind === kind) && !mayBeCounted(kind, earlier));
  return missing.length === 0 ? undefined : `the audit has nothing of ${missing.join(', ')}; it has:\n${added.map((row) => JSON.stringify(row)).join('\n')}`;
}

/** In all, and with what was counted: for a node that has ended, when all is told. @throws when it has a kind less often than that */
export function expectInAll(databasePath: string, kinds: readonly AuditKind[]): void {
  if (kinds.length === 0) return;
  const db = new Database(databasePath, { readonly: true, fileMustExist: true, timeout: 5000 });
  try {
    const times = new Map(db.prepare<[], { kind: string; times: number }>('SELECT kind, sum(times) AS times FROM audit GROUP BY kind').all().map((each) => [each.kind, each.times]));
    const wanted = Map.groupBy(kinds, (kind) => kind);
    const short = [...wanted].flatMap(([kind, { length }]) => ((times.get(kind) ?? 0) < length ? [`${kind} ${times.get(kind) ?? 0} times, not ${length}`] : []));
    if (short.length > 0) throw new Error(`the audit of ${databasePath} has ${short.join(', ')}`);
  } finally {
    db.close();
  }
}

function rowOf(text: string): Row {
  const { kind, who, whence, about } = JSON.parse(text) as Row;
  return { kind, who, whence, about };
}

/** Not told in a row of its own: one like it was, or as many as are. */
function mayBeCounted(kind: AuditKind, before: readonly Row[]): boolean {
  return isCounted(kind) && (before.some((row) => row.kind === kind) || before.filter((row) => isCounted(row.kind)).length >= mostTold);
}

/** Of refusals that were told already, or of several that have no more than their kind in common. */
function isCount(row: Row, before: readonly Row[]): boolean {
  if (!isCounted(row.kind)) return false;
  return row.who === '{"is":"several"}' ? mayBeCounted(row.kind, before) : before.some((each) => sameness(each) === sameness(row));
}

/** Without the port, which is another each time. */
function sameness({ kind, who, whence, about }: Row): string {
  return JSON.stringify([kind, who, whence.replace(/:\d+"/, '"'), about]);
}
