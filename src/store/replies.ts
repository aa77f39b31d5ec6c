/** Replies to the requests of agents. */
import { internal } from '../domain/errors.ts';
import type { ErrorInfo } from '../domain/errors.ts';
import type { InvocationId } from '../domain/ids.ts';
import { replyKinds } from '../domain/request.ts';
import type { Reply } from '../domain/request.ts';
import type { StoredReply } from '../domain/store-port.ts';
import type { Connection } from './connection.ts';
import { optional, parseError } from './flight-row.ts';

export interface ReplyRow {
  readonly invocation_id: InvocationId;
  readonly request: string;
  readonly kind: Reply['kind'] | 'timeout';
  readonly text: string | null;
  readonly given_by: string;
  /** Where it was given. */
  readonly from_node: number;
  readonly owner: number;
  readonly given_at_ms: number;
  readonly settled_at_ms: number | null;
  readonly error: string | null;
}

const byKey = 'SELECT * FROM replies WHERE invocation_id = ? AND request = ?';

export class ReplyTable {
  readonly #get;
  readonly #insert;
  readonly #settle;

  constructor(db: Connection) {
    this.#get = db.prepare<[InvocationId, string], ReplyRow>(byKey);
    this.#insert = db.prepare(`
      INSERT INTO replies (invocation_id, request, kind, text, given_by, from_node, owner, given_at_ms, settled_at_ms)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`);
    this.#settle = db.prepare('UPDATE replies SET settled_at_ms = ?, error = ? WHERE invocation_id = ? AND request = ?');
  }

  get(id: InvocationId, request: string): ReplyRow | undefined {
    return this.#get.get(id, request);
  }

  insert(row: Omit<ReplyRow, 'error'>): void {
    this.#insert.run(
      row.invocation_id, row.request, row.kind, row.text, row.given_by, row.from_node, row.owner, row.given_at_ms, row.settled_at_ms,
    );
  }

  settle(id: InvocationId, request: string, atMs: number, error: ErrorInfo | undefined): void {
    this.#settle.run(atMs, error === undefined ? null : JSON.stringify(error), id, request);
  }
}

/** Undefined for what nobody said: a timeout. */
export function replyOf({ kind, text }: Pick<ReplyRow, 'kind' | 'text'>): Reply | undefined {
  if (kind === 'text') return { kind, text: text ?? '' };
  return kind === 'timeout' ? undefined : { kind };
}

export function replyReads(db: Connection) {
  const get = db.prepare<[InvocationId, string], ReplyRow>(byKey);
  const open = db.prepare<[number, number], ReplyRow>(
    'SELECT * FROM replies INDEXED BY replies_open WHERE owner = ? AND settled_at_ms IS NULL ORDER BY invocation_id, request LIMIT ?',
  );
  return {
    reply(id: InvocationId, request: string): StoredReply | undefined {
      const row = get.get(id, request);
      return row === undefined || row.kind === 'timeout' ? undefined : storedOf(row);
    },
    open: (owner: number, limit: number): StoredReply[] => open.all(owner, limit).map(storedOf),
  };
}

function storedOf(row: ReplyRow): StoredReply {
  const reply = replyOf(row);
  if (reply === undefined) throw internal(`${row.request} holds no reply, only one of ${replyKinds.join(', ')} waits`);
  return {
    invocationId: row.invocation_id,
    request: row.request,
    reply,
    by: row.given_by,
    isSettled: row.settled_at_ms !== null,
    ...optional('error', parseError(row.error)),
  };
}
