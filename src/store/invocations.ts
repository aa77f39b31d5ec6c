/** Invocations and their payloads. */
import type { GroupId, InvocationId } from '../domain/ids.ts';
import type { Invocation, SessionChoice, Task } from '../domain/invocation.ts';
import { readTraceContext, writeTraceContext } from '../domain/trace-context.ts';
import type { Connection } from './connection.ts';
import type { NodeNumbers } from './caches.ts';
import { optional } from './flight-row.ts';
import { bytesOf, LargeBytes, lengthOf } from './large-bytes.ts';
import { sizeOf } from './new-flight.ts';
import type { StoredBytes } from './stored-bytes.ts';

interface InvocationRow {
  readonly id: InvocationId;
  readonly origin: number;
  readonly owner: number;
  readonly caller: string;
  readonly address_typed: string;
  readonly target: string;
  readonly session_mode: SessionChoice['mode'];
  readonly session_name: string | null;
  readonly hold_ms: number;
  readonly total_ms: number;
  readonly run_ms: number | null;
  readonly idle_ms: number | null;
  readonly rerunnable: 0 | 1;
  readonly parent_id: InvocationId | null;
  readonly root_id: InvocationId;
  readonly depth: number;
  /** JSON: the targets of its ancestors. */
  readonly path: string;
  readonly redrive_of: InvocationId | null;
  readonly accepted_at_ms: number;
  readonly group_id: GroupId | null;
  readonly trace: string | null;
}

export class InvocationTable {
  readonly #stored: StoredBytes;
  readonly #large: LargeBytes;
  readonly #insert;
  readonly #insertPayload;
  readonly #insertFile;

  constructor(db: Connection, stored: StoredBytes) {
    this.#stored = stored;
    this.#large = new LargeBytes(db);
    this.#insert = db.prepare(`
      INSERT INTO invocations (id, origin, owner, caller, address_typed, target, session_mode, session_name, hold_ms,
        total_ms, run_ms, idle_ms, rerunnable, parent_id, root_id, depth, path, redrive_of, accepted_at_ms, group_id, trace)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`);
    this.#insertPayload = db.prepare('INSERT INTO payloads (invocation_id, files, text, large) VALUES (?, ?, ?, ?)');
    this.#insertFile = db.prepare('INSERT INTO payload_files (invocation_id, position, name, bytes, large) VALUES (?, ?, ?, ?, ?)');
  }

  insert(each: Invocation, origin: number, owner: number, task: Task): void {
    const { limits, ancestry, session } = each;
    this.#insert.run(
      each.id, origin, owner, each.caller, each.addressTyped, each.target, session.mode,
      session.mode === 'named' ? session.name : null, limits.holdMs, limits.totalMs, limits.runMs ?? null,
      limits.idleMs ?? null, each.rerunnable ? 1 : 0, ancestry.parentId ?? null, ancestry.rootId, ancestry.depth,
      JSON.stringify(ancestry.path), each.redriveOf ?? null, each.acceptedAtMs, each.groupId ?? null,
      each.trace === undefined ? null : writeTraceContext(each.trace),
    );
    this.#insertPayload.run(each.id, task.files.length, ...this.#large.place(task.text));
    for (const [position, file] of task.files.entries()) this.#insertFile.run(each.id, position, file.name, ...this.#large.place(file.bytes));
    this.#stored.changed(sizeOf(task));
  }
}

export function invocationReads(db: Connection, nodes: NodeNumbers) {
  const get = db.prepare<[InvocationId], InvocationRow>('SELECT * FROM invocations WHERE id = ?');
  const text = db.prepare<[InvocationId], { files: number; text: Uint8Array }>(`SELECT files, ${bytesOf('p', 'text')} AS text FROM payloads p WHERE invocation_id = ?`);
  const files = db.prepare<[InvocationId], { name: string; bytes: Uint8Array }>(
    `SELECT name, ${bytesOf('f')} AS bytes FROM payload_files f WHERE invocation_id = ? ORDER BY position`,
  );
  const size = db.prepare<[InvocationId], { bytes: number }>(`
    SELECT ${lengthOf('p', 'text')} + CASE p.files WHEN 0 THEN 0 ELSE (SELECT sum(${lengthOf('f')}) FROM payload_files f WHERE f.invocation_id = p.invocation_id) END AS bytes
    FROM payloads p WHERE p.invocation_id = ?`);
  return {
    invocation(id: InvocationId): Invocation | undefined {
      const row = get.get(id);
      return row === undefined ? undefined : invocationOf(row, nodes);
    },
    taskBytes(id: InvocationId): number {
      return size.get(id)?.bytes ?? 0;
    },
    task(id: InvocationId): Task | undefined {
      const payload = text.get(id);
      if (payload === undefined) return undefined;
      return { text: payload.text, files: payload.files === 0 ? [] : files.all(id) };
    },
  };
}

function invocationOf(row: InvocationRow, nodes: NodeNumbers): Invocation {
  return {
    id: row.id,
    originNodeId: nodes.idOf(row.origin),
    ownerNodeId: nodes.idOf(row.owner),
    caller: row.caller,
    addressTyped: row.address_typed,
    target: row.target,
    session: row.session_mode === 'named' ? { mode: 'named', name: row.session_name ?? '' } : { mode: row.session_mode },
    limits: {
      holdMs: row.hold_ms,
      totalMs: row.total_ms,
      ...optional('runMs', row.run_ms),
      ...optional('idleMs', row.idle_ms),
    },
    rerunnable: row.rerunnable === 1,
    ancestry: { ...optional('parentId', row.parent_id), rootId: row.root_id, depth: row.depth, path: JSON.parse(row.path) as string[] },
    ...optional('redriveOf', row.redrive_of),
    acceptedAtMs: row.accepted_at_ms,
    ...optional('groupId', row.group_id),
    ...(row.trace === null ? {} : { trace: readTraceContext(row.trace) }),
  };
}
