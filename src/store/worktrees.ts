/** Worktrees of flights: at the owner what was made and what became of it, at an origin what the owner told of it. */
import { conflict, notFound } from '../domain/errors.ts';
import type { Stamp } from '../domain/event.ts';
import { flightOfInvocation } from '../domain/ids.ts';
import type { InvocationId, SessionId } from '../domain/ids.ts';
import type { PlacedWorktree, Worktree, WorktreeStart, WorktreeState } from '../domain/worktree.ts';
import type { Connection } from './connection.ts';
import type { FactTable } from './events.ts';

interface WorktreeRow {
  readonly made_for: InvocationId;
  readonly head: string;
  readonly branch: string;
  readonly dirty: number;
  readonly name: string | null;
  readonly prefix: string | null;
  readonly git_dir: string | null;
  readonly search_path: string | null;
  readonly state: WorktreeState;
}

function worktreeOf(row: WorktreeRow): Worktree {
  const { made_for: madeFor, head, branch, dirty, state, name, prefix, git_dir: gitDir, search_path: searchPath } = row;
  const isHere = name !== null && prefix !== null && gitDir !== null && searchPath !== null;
  return { madeFor, head, branch, dirty, state, ...(isHere ? { place: { name, prefix, gitDir, searchPath } } : {}) };
}

const ofFlight = 'SELECT w.* FROM flight_worktrees f JOIN worktrees w ON w.made_for = f.made_for WHERE f.invocation_id = ?';

export interface Settling {
  readonly stamp: Stamp;
  readonly id: InvocationId;
  readonly state: WorktreeState;
  readonly by?: string;
}

export class WorktreeTable {
  readonly #facts: FactTable;
  readonly #get;
  readonly #ofFlight;
  readonly #save;
  readonly #link;
  readonly #settle;
  readonly #atWork;
  readonly #unlink;
  readonly #removeUnused;

  constructor(db: Connection, facts: FactTable) {
    this.#facts = facts;
    this.#get = db.prepare<[InvocationId], WorktreeRow>('SELECT * FROM worktrees WHERE made_for = ?');
    this.#ofFlight = db.prepare<[InvocationId], WorktreeRow>(ofFlight);
    this.#save = db.prepare(`
      INSERT INTO worktrees (made_for, session_id, head, branch, dirty, name, prefix, git_dir, search_path, state, made_at_ms)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 'kept', ?)
      ON CONFLICT (made_for) DO UPDATE SET session_id = excluded.session_id, head = excluded.head, branch = excluded.branch, dirty = excluded.dirty,
        name = excluded.name, prefix = excluded.prefix, git_dir = excluded.git_dir, search_path = excluded.search_path, state = 'kept',
        made_at_ms = excluded.made_at_ms, settled_at_ms = NULL`);
    this.#link = db.prepare<[InvocationId, InvocationId]>(
      'INSERT INTO flight_worktrees (invocation_id, made_for) VALUES (?, ?) ON CONFLICT (invocation_id) DO UPDATE SET made_for = excluded.made_for',
    );
    this.#settle = db.prepare<[WorktreeState, number, InvocationId]>('UPDATE worktrees SET state = ?, settled_at_ms = ? WHERE made_for = ?');
    this.#atWork = db.prepare<[InvocationId], { readonly invocation_id: InvocationId }>(`
      SELECT f.invocation_id FROM flight_worktrees w JOIN flights f ON f.invocation_id = w.invocation_id
      WHERE w.made_for = ? AND f.state IN ('waking', 'running', 'waiting') LIMIT 1`);
    this.#unlink = db.prepare<[InvocationId], { readonly made_for: InvocationId }>('DELETE FROM flight_worktrees WHERE invocation_id = ? RETURNING made_for');
    this.#removeUnused = db.prepare<[InvocationId, InvocationId]>(
      'DELETE FROM worktrees WHERE made_for = ? AND NOT EXISTS (SELECT 1 FROM flight_worktrees f WHERE f.made_for = ?)',
    );
  }

  /**
   * A flight begins in it, for the first time or again. @throws BrokerError `conflict` when it was settled meanwhile
   */
  begin(id: InvocationId, worktree: PlacedWorktree, session: SessionId | null, atMs: number): void {
    const { madeFor, head, branch, dirty, place } = worktree;
    const known = this.#get.get(madeFor);
    const isNew = madeFor === id && known?.state !== 'kept';
    if (!isNew && (known?.state !== 'kept' || known.name !== place.name)) throw conflict(`the worktree ${place.name} is not there any more`);
    if (isNew) this.#save.run(madeFor, session, head, branch, dirty, place.name, place.prefix, place.gitDir, place.searchPath, atMs);
    this.#link.run(id, madeFor);
  }

  /** The owner has told the origin. */
  learn(id: InvocationId, { head, branch, dirty }: WorktreeStart, atMs: number): void {
    this.#save.run(id, null, head, branch, dirty, null, null, null, null, atMs);
    this.#link.run(id, id);
  }

  /** @throws BrokerError `not_found` for a flight without, `conflict` when it was settled otherwise or somebody works in it */
  settle({ stamp, id, state, by }: Settling): Worktree {
    const row = this.#ofFlight.get(id);
    if (row === undefined) throw notFound(`${flightOfInvocation(id)} has no worktree`);
    if (row.state === state) return worktreeOf(row);
    if (row.name !== null) {
      const isOpen = row.state === 'kept' || (row.state === 'gone' && state === 'discarded');
      if (!isOpen) throw conflict(`its worktree is ${row.state} already`);
      const busy = this.#atWork.get(row.made_for);
      if (busy !== undefined) throw conflict(`${flightOfInvocation(busy.invocation_id)} is at work in its worktree`, 'wait for it, or cancel it');
    }
    this.#settle.run(state, stamp.atMs, row.made_for);
    this.#facts.append(stamp, 'flight.worktree', { invocation: id, detail: { state, branch: row.branch, ...(by === undefined ? {} : { by }) } });
    return worktreeOf({ ...row, state });
  }

  /** The records of a flight go. A worktree that is kept is kept by its flights. @returns rows removed */
  forget(id: InvocationId): number {
    const link = this.#unlink.get(id);
    return link === undefined ? 0 : 1 + this.#removeUnused.run(link.made_for, link.made_for).changes;
  }
}

export function worktreeReads(db: Connection) {
  const one = db.prepare<[InvocationId], WorktreeRow>(ofFlight);
  const named = db.prepare<[string], WorktreeRow>('SELECT * FROM worktrees WHERE name = ? ORDER BY made_for DESC LIMIT 1');
  const kept = db.prepare<[SessionId], WorktreeRow>("SELECT * FROM worktrees WHERE session_id = ? AND state = 'kept' LIMIT 1");
  const read = (row: WorktreeRow | undefined): Worktree | undefined => (row === undefined ? undefined : worktreeOf(row));
  return {
    worktree: (id: InvocationId): Worktree | undefined => read(one.get(id)),
    worktreeNamed: (name: string): Worktree | undefined => read(named.get(name)),
    worktreeOfSession: (id: SessionId): Worktree | undefined => read(kept.get(id)),
  };
}
