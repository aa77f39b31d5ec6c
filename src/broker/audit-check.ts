/**
 * Whether the audit is as the node wrote it: its chain, its end as against what was written down of that elsewhere, and what the
 * node found itself. Read a stretch at a time, so that nothing waits for it.
 */
import type { AuditFinding, AuditFlaw, AuditHead, AuditInspection, AuditReads, AuditRow } from '../domain/audit.ts';
import { flawOfEnd } from '../domain/audit-chain.ts';

/** Rows at a time, about 50 ms. */
const stretch = 5000;
/** Looked at when not all are: the newest. */
const mostRows = 50_000;
/** That nobody has noted: behind so many it is not one row that is wrong. */
const mostFlaws = 20;

/** What was written down of it apart from the database. */
export interface KnownEnd {
  readonly head: AuditHead;
  /** Where it was some, and many, rows before; number 0 for its beginning. */
  readonly marks: readonly [AuditHead, AuditHead];
}

export interface AuditCheckParts {
  readonly read: AuditReads;
  readonly inspect: Pick<AuditInspection, 'checkAudit' | 'auditNotes'>;
  /** Undefined: nothing is, or nothing that this node has sealed. */
  readonly known: () => KnownEnd | undefined;
}

/** @param whole from its first row, however many there are */
export async function checkAudit({ read, inspect, known }: AuditCheckParts, whole: boolean): Promise<AuditFinding> {
  // What is written down first, then the end: it only ever gets longer.
  const end = known();
  const head = read.auditHead();
  const notes = await inspect.auditNotes();
  const start = whole ? undefined : startOf(read, head, end);
  const flaws: AuditFlaw[] = [];
  const isNoted = (flaw: AuditFlaw): boolean => notes.some((note) => isNoteOf(note, flaw));
  for (let after = start, more = true, unseen = 0; more && unseen < mostFlaws; ) {
    const found = await inspect.checkAudit({ ...(after === undefined ? {} : { after }), most: stretch });
    flaws.push(...found.flaws);
    unseen += found.flaws.filter((each) => !isNoted(each)).length;
    ({ last: after, more } = found);
  }
  const atEnd = endFlaw(read, head, end);
  if (atEnd !== undefined && !flaws.some(({ row }) => row === atEnd.row)) flaws.push(atEnd);
  for (const { number, hash, kind, about } of notes) {
    if (kind === 'audit.broken') flaws.push({ row: number, hash, why: `the node wrote in row ${number}: ${about['why'] ?? ''}` });
  }
  return {
    rows: head.number,
    from: head.number === 0 ? 0 : (start?.number ?? 0) + 1,
    flaws: flaws.filter((each) => !isNoted(each)),
    noted: flaws.filter(isNoted),
    putBackMs: notes.flatMap(({ kind, atMs }) => (kind === 'store.put_back' ? [atMs] : [])),
  };
}

/** Of what is found there now, and not of what somebody makes of it later; no row speaks of itself, or of what came after it. */
function isNoteOf({ number, kind, about }: AuditRow, { row, hash, why }: AuditFlaw): boolean {
  return kind === 'audit.noted' && number > row && about['row'] === String(row) && about['hash'] === hash && about['why'] === why.slice(0, 200);
}

/** As a row of the audit has it. */
export function noteOf({ row, hash, why }: AuditFlaw): { readonly row: string; readonly hash: string; readonly why: string } {
  return { row: String(row), hash, why: why.slice(0, 200) };
}

function startOf(read: AuditReads, head: AuditHead, end: KnownEnd | undefined): AuditHead | undefined {
  const mark = end?.marks[1];
  if (mark !== undefined && mark.number > 0 && mark.number <= head.number && head.number - mark.number <= mostRows) return mark;
  if (head.number <= mostRows) return undefined;
  const number = head.number - mostRows;
  // Not vouched for: as it stands there.
  return { number, hash: read.auditHashAt(number) ?? '' };
}

function endFlaw(read: AuditReads, head: AuditHead, end: KnownEnd | undefined): AuditFlaw | undefined {
  if (end !== undefined) return flawOfEnd(end.head, head, read.auditHashAt(end.head.number));
  return head.number === 0 ? undefined : { row: head.number, hash: head.hash, why: 'what the node wrote down of its end is gone, or is not by this node: rows may be missing there' };
}
