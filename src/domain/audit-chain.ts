/**
 * The chain of the audit: each row's hash covers the hash before it and every column of its own, so that nothing in between can be
 * changed, taken out, put in or moved without a row that does not follow. After S. Haber and W. S. Stornetta, "How to
 * Time-Stamp a Digital Document" (1991). The hash is keyed (HMAC, RFC 2104): who has not the node's key can't make one.
 */
import type { AuditFlaw, AuditHead, AuditStretch } from './audit.ts';
import type { NodeId } from './ids.ts';

/** A row as its columns hold it. */
export interface StoredAuditRow {
  readonly number: number;
  readonly at_ms: number;
  readonly kind: string;
  readonly who: string;
  readonly whence: string;
  readonly about: string;
  readonly times: number;
  readonly hash: string;
}

export type ChainHash = (content: string) => string;

/** Flaws that are told of one stretch: it ends there. */
const mostFlaws = 8;

/** What the first row follows: no chain of one node can be passed off as another's. */
export function beginningOf(nodeId: NodeId, hash: ChainHash): AuditHead {
  return { number: 0, hash: hash(JSON.stringify(['beckon-audit-v1', nodeId])) };
}

/** A list of texts and whole numbers, so that no two rows are one text. */
export function hashOfRow(before: string, { number, at_ms, kind, who, whence, about, times }: Omit<StoredAuditRow, 'hash'>, hash: ChainHash): string {
  return hash(JSON.stringify([before, number, at_ms, kind, who, whence, about, times]));
}

/** Of all that a row has in it, as it stands. Notes tell it, so it is nothing that any row could have for its hash. */
function markOf({ number, at_ms, kind, who, whence, about, times, hash: own }: StoredAuditRow, hash: ChainHash): string {
  return hash(JSON.stringify(['beckon-audit-found-v1', [number, at_ms, kind, who, whence, about, times, own]]));
}

/** Whether the node wrote that row, behind a row of that hash. @param before undefined: there is none */
export function isWritten(before: string | undefined, row: StoredAuditRow, hash: ChainHash): boolean {
  return before !== undefined && hashOfRow(before, row, hash) === row.hash;
}

/**
 * @param rows those that come behind `after`, in order
 * @param more rows follow these: the last of them is only looked at to judge the one before it
 */
export function checkRows(after: AuditHead, rows: readonly StoredAuditRow[], more: boolean, hash: ChainHash): AuditStretch {
  const flaws: AuditFlaw[] = [];
  let last = after;
  const count = more ? rows.length - 1 : rows.length;
  for (let index = 0; index < count; index += 1) {
    const row = rows[index] as StoredAuditRow;
    // What stands behind a gap can't be held against what stood before it.
    if (row.number !== last.number + 1) {
      const [from, to] = [last.number + 1, row.number - 1];
      flaws.push({ row: from, hash: markOf(row, hash), why: from === to ? `row ${from} is missing` : `rows ${from} to ${to} are missing` });
    } else if (!isWritten(last.hash, row, hash)) flaws.push({ row: row.number, hash: markOf(row, hash), why: wordsOf(row, rows[index + 1], hash) });
    last = { number: row.number, hash: row.hash };
    if (flaws.length >= mostFlaws) return { last, more: more || index + 1 < count, flaws };
  }
  return { last, more, flaws };
}

/** The next one tells whether the hash of this one is the one that it had. */
function wordsOf(row: StoredAuditRow, next: StoredAuditRow | undefined, hash: ChainHash): string {
  const isItsOwnHash = next !== undefined && next.number === row.number + 1 && isWritten(row.hash, next, hash);
  return isItsOwnHash ? `row ${row.number} was altered` : `row ${row.number} does not follow from the row before it: it was altered, put in, or stood elsewhere`;
}

/** What is wrong with the end of the chain, as against what the node wrote down of it elsewhere. Undefined: nothing. */
export function flawOfEnd(known: AuditHead, head: AuditHead, hashThere: string | undefined): AuditFlaw | undefined {
  if (head.number < known.number) {
    const [from, to] = [head.number + 1, known.number];
    return { row: from, hash: '', why: from === to ? `row ${from} is missing at its end` : `rows ${from} to ${to} are missing at its end` };
  }
  if (hashThere === known.hash) return undefined;
  return { row: known.number, hash: hashThere ?? '', why: known.number === 0 ? 'it is the audit of another node' : `row ${known.number} is not the one that the node wrote there` };
}
