/**
 * Records what is no write of its own. Refusals are what a stranger can bring about as often as it likes, and the audit is kept for ever:
 * so the first of a kind is a row at once, and what follows is counted and told at the end of the window, however much it was.
 */
import type { Act, Audit, AuditEntry, AuditRefusal, RefusalKind } from '../domain/audit.ts';
import { hostOf } from '../domain/host-port.ts';
import type { CancelTimer, Clock, Log } from '../domain/ports.ts';
import type { StoreWrites } from '../domain/store-port.ts';
import type { Chronicler } from './chronicler.ts';

/** Doubled each time while more came than could be told one by one; back again after one in which nothing did. */
const shortestWindowMs = 60_000;
const longestWindowMs = 3_600_000;
/** Told apart in one window. With those of each kind that are not, and each counted once more at its end, the most rows of a window. */
export const mostTold = 16;

interface Counted {
  readonly refusal: AuditRefusal;
  readonly act: Act;
  /** Since the last row of it. */
  times: number;
  /** In the window that ends. */
  isNew: boolean;
}

export interface AuditBookParts {
  readonly write: Pick<StoreWrites, 'audit'>;
  readonly chronicler: Chronicler;
  readonly clock: Clock;
  readonly log: Log;
}

export class AuditBook implements Audit {
  readonly #parts: AuditBookParts;
  readonly #told = new Map<string, Counted>();
  readonly #rest = new Map<RefusalKind, Counted>();
  #windowMs = shortestWindowMs;
  #cancelTimer: CancelTimer | undefined;
  #last: Promise<unknown> = Promise.resolve();

  constructor(parts: AuditBookParts) {
    this.#parts = parts;
  }

  async record(entry: AuditEntry): Promise<void> {
    const { write, chronicler } = this.#parts;
    await write.audit({ stamp: chronicler.stamp(), entries: [entry] });
  }

  refused(refusal: AuditRefusal, act: Act): void {
    const key = keyOf(refusal, act);
    const known = this.#told.get(key);
    this.#cancelTimer ??= this.#parts.clock.setTimer(this.#windowMs, () => this.#endWindow());
    if (known !== undefined) known.times += 1;
    else if (this.#told.size < mostTold) {
      this.#told.set(key, { refusal, act, times: 0, isNew: true });
      this.#write([{ ...refusal, ...act }]);
    } else this.#count(refusal, act);
  }

  /** What was counted so far is told. */
  async stop(): Promise<void> {
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    this.#write(this.#counted());
    this.#told.clear();
    this.#rest.clear();
    await this.#last;
  }

  #count(refusal: AuditRefusal, act: Act): void {
    const known = this.#rest.get(refusal.kind);
    if (known !== undefined) known.times += 1;
    // Of so many the kind is what they have in common.
    else this.#rest.set(refusal.kind, { refusal: { kind: refusal.kind, about: {} } as AuditRefusal, act: { who: { is: 'several' }, from: act.from }, times: 1, isNew: true });
  }

  #endWindow(): void {
    this.#cancelTimer = undefined;
    const entries = this.#counted();
    this.#write(entries);
    this.#rest.clear();
    // Who goes on is known, and only counted on; who came once may be new again.
    for (const [key, each] of this.#told) if (each.times === 0 && !each.isNew) this.#told.delete(key);
    for (const each of this.#told.values()) [each.times, each.isNew] = [0, false];
    this.#windowMs = entries.length === 0 ? shortestWindowMs : Math.min(longestWindowMs, 2 * this.#windowMs);
    if (this.#told.size > 0) this.#cancelTimer = this.#parts.clock.setTimer(this.#windowMs, () => this.#endWindow());
  }

  #counted(): AuditEntry[] {
    return [...this.#told.values(), ...this.#rest.values()].flatMap(({ refusal, act, times }) => (times === 0 ? [] : [{ ...refusal, ...act, times }]));
  }

  #write(entries: readonly AuditEntry[]): void {
    if (entries.length === 0) return;
    const { write, chronicler, log } = this.#parts;
    const written = write.audit({ stamp: chronicler.stamp(), entries }).catch((error: unknown) => log.error({ err: error }, 'refusals could not be recorded in the audit'));
    this.#last = Promise.all([this.#last, written]);
  }
}

/** Who it is, as far as that is proven; the port that a connection came from is another each time. */
function keyOf({ kind, about }: AuditRefusal, { who, from }: Act): string {
  const host = 'address' in from && from.address !== undefined ? hostOf(from.address) : '';
  return JSON.stringify([kind, who.is === 'applicant' ? 'applicant' : who, from.via, host, who.is === 'member' ? about : 'why' in about ? about.why : '']);
}
