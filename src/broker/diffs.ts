/** Diffs of worktrees here that somebody reads, a piece at a time. */
import { BrokerError, overload } from '../domain/errors.ts';
import type { FlightId } from '../domain/ids.ts';
import type { CancelTimer, Clock, UlidSource } from '../domain/ports.ts';
import type { LocatedWorktree, Snapshot, Worktrees } from '../domain/worktree-port.ts';
import type { DiffSummary } from '../domain/worktree.ts';

/** Of a patch, in one piece: others' messages on a link stand behind it. */
const pieceBytes = 256 * 1024;
/** One that nobody has read on is closed. */
const idleMs = 60_000;
/** Open at once: the one longest unread goes. */
const mostOpen = 8;
/** Being taken at once: each reads all that changed. */
const mostTaken = 4;

export interface DiffPiece {
  readonly snapshot: string;
  readonly summary: DiffSummary;
  readonly bytes: Uint8Array;
}

interface Open {
  readonly flightId: FlightId;
  readonly snapshot: Snapshot;
  cancelTimer: CancelTimer;
}

export interface DiffsParts {
  readonly worktrees: Worktrees;
  readonly clock: Clock;
  readonly ulids: UlidSource;
}

export class Diffs {
  readonly #parts: DiffsParts;
  /** Longest unread first. */
  readonly #open = new Map<string, Open>();
  #taken = 0;

  constructor(parts: DiffsParts) {
    this.#parts = parts;
  }

  /** A new one, and its first piece. @throws BrokerError as git does; `overload` when many are asked for at once */
  async begin(flightId: FlightId, worktree: LocatedWorktree): Promise<DiffPiece> {
    if (this.#taken >= mostTaken) throw overload(`${mostTaken} diffs are being made on that node already`, 5_000);
    this.#taken += 1;
    try {
      const snapshot = await this.#parts.worktrees.snapshot(worktree);
      const id = this.#parts.ulids.next();
      this.#open.set(id, { flightId, snapshot, cancelTimer: this.#timer(id) });
      for (const oldest of this.#open.keys()) if (this.#open.size > mostOpen) await this.#close(oldest);
      return await this.goOn(flightId, id, 0);
    } finally {
      this.#taken -= 1;
    }
  }

  /** What follows `offset`. The last piece closes it. @throws BrokerError `conflict` when it is not open any more */
  async goOn(flightId: FlightId, id: string, offset: number): Promise<DiffPiece> {
    const open = this.#open.get(id);
    if (open?.flightId !== flightId) throw new BrokerError('conflict', 'that diff is not open any more', { hint: 'ask for it again' });
    this.#open.delete(id);
    this.#open.set(id, open);
    open.cancelTimer();
    open.cancelTimer = this.#timer(id);
    const { summary } = open.snapshot;
    const bytes = await open.snapshot.read(offset, pieceBytes);
    if (offset + bytes.length >= summary.patchBytes || bytes.length === 0) await this.#close(id);
    return { snapshot: id, summary, bytes };
  }

  async stop(): Promise<void> {
    for (const id of this.#open.keys()) await this.#close(id);
  }

  #timer(id: string): CancelTimer {
    return this.#parts.clock.setTimer(idleMs, () => void this.#close(id));
  }

  async #close(id: string): Promise<void> {
    const open = this.#open.get(id);
    if (open === undefined) return;
    this.#open.delete(id);
    open.cancelTimer();
    await open.snapshot.close();
  }
}
