/** The audit: rows come at its end, in the commit of what they tell, and are never changed. */
import { createHmac } from 'node:crypto';
import { auditFieldsOf, auditKinds, longestField, ownAct } from '../domain/audit.ts';
import type { Act, AuditCheckRange, AuditEntry, AuditHead, AuditPage, AuditRow, AuditStretch, AuditWhat, Whence, Who } from '../domain/audit.ts';
import { beginningOf, checkRows, flawOfEnd, hashOfRow, isWritten } from '../domain/audit-chain.ts';
import type { ChainHash, StoredAuditRow } from '../domain/audit-chain.ts';
import { internal } from '../domain/errors.ts';
import type { Stamp } from '../domain/event.ts';
import type { NodeId } from '../domain/ids.ts';
import type { Connection } from './connection.ts';

/** Whose chain it is, and what it is keyed with; of no use outside of this node. */
export interface AuditSeal {
  readonly nodeId: NodeId;
  readonly key: Uint8Array;
}

const mostNotes = 1000;
/** Passed over at a time while a page looks for rows of its time. */
const stride = 256;

function hashWith(key: Uint8Array): ChainHash {
  return (content) => createHmac('sha256', key).update(content).digest('hex');
}

function chainReads(db: Connection, { nodeId, key }: AuditSeal) {
  const hash = hashWith(key);
  const beginning = beginningOf(nodeId, hash);
  const newest = db.prepare<[], AuditHead>('SELECT number, hash FROM audit ORDER BY number DESC LIMIT 1');
  const at = db.prepare<[number], { hash: string }>('SELECT hash FROM audit WHERE number = ?');
  return {
    hash,
    beginning,
    head: (): AuditHead => newest.get() ?? beginning,
    hashAt: (number: number): string | undefined => (number === 0 ? beginning.hash : at.get(number)?.hash),
  };
}

export class AuditTable {
  readonly #chain;
  readonly #insert;
  /** So far, whether or not it was taken back since. */
  #appended = 0;
  /** Where this thread has left it; undefined: not known. */
  #end: AuditHead | undefined;

  constructor(db: Connection, seal: AuditSeal) {
    this.#chain = chainReads(db, seal);
    this.#insert = db.prepare('INSERT INTO audit (number, at_ms, kind, who, whence, about, times, hash) VALUES (?, ?, ?, ?, ?, ?, ?, ?)');
  }

  get appended(): number {
    return this.#appended;
  }

  head(): AuditHead {
    return this.#chain.head();
  }

  mark(): AuditHead | undefined {
    return this.#end;
  }

  backTo(end: AuditHead | undefined): void {
    this.#end = end;
  }

  /** Left out, it is the act of this node by itself. */
  append(stamp: Stamp, what: AuditWhat, act: Act = ownAct, times = 1): void {
    const head = this.#chain.head();
    const known = this.#end;
    const flaw = known === undefined ? undefined : flawOfEnd(known, head, this.#chain.hashAt(known.number));
    if (flaw !== undefined) this.#insertBehind(head, stamp, { kind: 'audit.broken', about: { why: `while the node ran: ${flaw.why}` } }, ownAct, 1);
    this.#insertBehind(this.#chain.head(), stamp, what, act, times);
  }

  #insertBehind(before: AuditHead, { atMs }: Stamp, what: AuditWhat, act: Act, times: number): void {
    const row = {
      number: before.number + 1,
      at_ms: atMs,
      kind: what.kind,
      who: JSON.stringify(whoOf(act.who)),
      whence: JSON.stringify(whenceOf(act.from)),
      about: JSON.stringify(aboutOf(what)),
      times,
    };
    const hash = hashOfRow(before.hash, row, this.#chain.hash);
    this.#insert.run(row.number, row.at_ms, row.kind, row.who, row.whence, row.about, row.times, hash);
    this.#end = { number: row.number, hash };
    this.#appended += 1;
  }

  record({ stamp, entries }: { readonly stamp: Stamp; readonly entries: readonly AuditEntry[] }): void {
    for (const { who = ownAct.who, from = ownAct.from, times, ...what } of entries) this.append(stamp, what as AuditWhat, { who, from }, times);
  }

  /** At a start: what is not as the node left it, or is an older state, becomes a row itself. @param known undefined: nothing is written down of it */
  begun(stamp: Stamp, { known }: { readonly known: AuditHead | undefined } = { known: undefined }, evidence: string | undefined): void {
    if (evidence !== undefined) return this.putBack(stamp, { evidence, known });
    const head = this.#chain.head();
    const flaw = known === undefined ? lostEnd(head) : flawOfEnd(known, head, this.#chain.hashAt(known.number));
    if (flaw !== undefined) this.append(stamp, { kind: 'audit.broken', about: { why: flaw.why } });
  }

  putBack(stamp: Stamp, { evidence, known }: { readonly evidence: string; readonly known?: AuditHead | undefined }, act?: Act): void {
    const rows = String(this.#chain.head().number);
    this.append(stamp, { kind: 'store.put_back', about: { evidence, rows, ...(known === undefined ? {} : { had: String(known.number) }) } }, act);
  }
}

function lostEnd({ number }: AuditHead): { readonly why: string } | undefined {
  return number === 0 ? undefined : { why: 'what the node had written down of its end was gone: rows may be missing there' };
}

export function auditReads(db: Connection, seal: AuditSeal) {
  const chain = chainReads(db, seal);
  const walk = db.prepare<[number, number], StoredAuditRow>('SELECT * FROM audit WHERE number < ? ORDER BY number DESC LIMIT ?');
  const older = db.prepare<[number, number], { number: number | null }>('SELECT max(number) AS number FROM audit INDEXED BY audit_by_time WHERE at_ms >= ? AND number < ?');
  const behind = db.prepare<[number, number], StoredAuditRow>('SELECT * FROM audit WHERE number > ? ORDER BY number LIMIT ?');
  const notes = db.prepare<[number], StoredAuditRow>("SELECT * FROM audit WHERE kind IN ('audit.broken', 'audit.noted', 'store.put_back') ORDER BY number DESC LIMIT ?");
  // One that accuses needs no proof; one that clears does, by itself, since the walk along the chain may not come by it.
  const counts = (row: StoredAuditRow): boolean => row.kind === 'audit.broken' || isWritten(chain.hashAt(row.number - 1), row, chain.hash);
  return {
    auditHead: chain.head,
    auditHashAt: chain.hashAt,
    auditRows({ sinceMs, before = Number.MAX_SAFE_INTEGER }: { readonly sinceMs?: number; readonly before?: number }, limit: number): AuditPage {
      const found: StoredAuditRow[] = [];
      let below = before;
      // Times may go back where a clock was set: a row of the time may stand behind others that are not.
      for (;;) {
        const rows = walk.all(below, sinceMs === undefined ? limit + 1 : Math.max(limit + 1, stride));
        found.push(...rows.filter((row) => sinceMs === undefined || row.at_ms >= sinceMs));
        const lowest = rows.at(-1)?.number;
        if (found.length > limit || lowest === undefined) break;
        const next: number | null = sinceMs === undefined ? null : (older.get(sinceMs, lowest)?.number ?? null);
        if (next === null) break;
        below = next + 1;
      }
      const shown = found.slice(0, limit);
      const last = shown.at(-1);
      return { rows: shown.map(rowOf), ...(found.length > limit && last !== undefined ? { next: last.number } : {}) };
    },
    checkAudit({ after = chain.beginning, most }: AuditCheckRange): AuditStretch {
      const rows = behind.all(after.number, most + 1);
      return checkRows(after, rows, rows.length > most, chain.hash);
    },
    auditNotes: (): AuditRow[] => notes.all(mostNotes).reverse().filter(counts).map(rowOf),
  };
}

/** What can't be read is shown as far as it can: whoever altered a row must not be able to keep the rest from being seen. */
function rowOf({ number, at_ms: atMs, kind, who, whence, about, times, hash }: StoredAuditRow): AuditRow {
  return { number, atMs, kind: kind as AuditRow['kind'], who: parsed(who, 'is', { is: 'stranger' }), from: parsed(whence, 'via', { via: 'inside' }), about: textsOf(about), times, hash };
}

function parsed<Value>(text: string, key: string, otherwise: Value): Value {
  const value = objectOf(text);
  return typeof value[key] === 'string' ? (value as unknown as Value) : otherwise;
}

function textsOf(text: string): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(objectOf(text)).filter((each): each is [string, string] => typeof each[1] === 'string'));
}

function objectOf(text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  } catch (thrown) {
    if (thrown instanceof SyntaxError) return {};
    throw thrown;
  }
}

const cut = (text: string): string => (text.length <= longestField ? text : `${text.slice(0, longestField - 1)}…`);

/** Nothing but what the kind may say, in its order. */
function aboutOf({ kind, about }: AuditWhat): Readonly<Record<string, string>> {
  if (!Object.hasOwn(auditKinds, kind)) throw internal(`the audit knows no ${String(kind)}`);
  const given = about as Readonly<Record<string, string | undefined>>;
  return Object.fromEntries(auditFieldsOf(kind).flatMap((field) => (given[field] === undefined ? [] : [[field, cut(given[field])]])));
}

function whoOf(who: Who): Who {
  switch (who.is) {
    case 'node':
    case 'stranger':
    case 'several':
      return { is: who.is };
    case 'user':
      return { is: who.is, id: cut(who.id) };
    case 'flight':
      return { is: who.is, flightId: who.flightId, agent: cut(who.agent) };
    case 'member':
      return { is: who.is, nodeId: who.nodeId, name: cut(who.name), owner: cut(who.owner), ...(who.user === undefined ? {} : { user: cut(who.user) }) };
    case 'applicant':
      return { is: who.is, ...(who.nodeId === undefined ? {} : { nodeId: who.nodeId }), ...(who.name === undefined ? {} : { name: cut(who.name) }), ...(who.login === undefined ? {} : { login: cut(who.login) }) };
  }
}

function whenceOf(from: Whence): Whence {
  if (!('address' in from) || from.address === undefined) return { via: from.via } as Whence;
  return { via: from.via, address: cut(from.address) };
}
