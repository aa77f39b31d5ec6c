/** The truth about a node's health: it is found by trying, when somebody asks, and every few seconds while somebody watches. */
import { stat } from 'node:fs/promises';
import { WakeablePause } from '../broker/wakeable-pause.ts';
import { toBrokerError } from '../domain/errors.ts';
import type { BrokerError } from '../domain/errors.ts';
import type { Health, HealthSubject } from '../domain/health-port.ts';
import { within } from '../domain/pause.ts';
import type { Clock, Log } from '../domain/ports.ts';
import type { Store } from '../domain/store-port.ts';

/** A look costs a commit: however many ask, there is one a second at most. */
const freshMs = 1_000;
/** A disk that takes longer is of no use to whoever waits for an answer. */
const patienceMs = 5_000;
/** Between looks for those who watch. */
const everyMs = 5_000;

export interface NodeHealthParts {
  readonly store: { readonly write: Pick<Store['write'], 'probe'> };
  readonly dbFile: string;
  /** Why the node takes no new work. */
  readonly refusal: () => BrokerError | undefined;
  /** Why other members can't reach it. */
  readonly unreachable: () => string | undefined;
  readonly clock: Clock;
  readonly log: Log;
}

export class NodeHealth implements Health {
  readonly #parts: NodeHealthParts;
  /** Which file the store has open. */
  readonly #file: string;
  readonly #watching = new Set<WakeablePause>();
  #changes = 0;
  #known: { readonly atMs: number; readonly why: string | undefined } | undefined;
  #looking: Promise<string | undefined> | undefined;

  /** The store is open. */
  static async open(parts: NodeHealthParts): Promise<NodeHealth> {
    return new NodeHealth(parts, (await identityOf(parts.dbFile)) ?? '');
  }

  private constructor(parts: NodeHealthParts, file: string) {
    this.#parts = parts;
    this.#file = file;
  }

  async check(subject: HealthSubject): Promise<string | undefined> {
    // Before the disk is asked, and again: it may take its time.
    return this.#evident(subject) ?? (await this.#storeFault()) ?? this.#evident(subject);
  }

  async *watch(subject: HealthSubject, signal: AbortSignal): AsyncIterable<string | undefined> {
    const pause = new WakeablePause(this.#parts.clock, signal);
    this.#watching.add(pause);
    try {
      let wasWell: boolean | undefined;
      while (!signal.aborted) {
        const before = this.#changes;
        const why = await this.check(subject);
        const isWell = why === undefined;
        if (isWell !== wasWell) yield why;
        wasWell = isWell;
        if (before === this.#changes) await pause.wait(everyMs);
      }
    } finally {
      this.#watching.delete(pause);
    }
  }

  /** Something has changed, or is about to: whoever watches is told at once. */
  changed(): void {
    this.#changes += 1;
    for (const pause of this.#watching) pause.wake();
  }

  #evident(subject: HealthSubject): string | undefined {
    return this.#parts.refusal()?.message ?? (subject === 'network' ? this.#parts.unreachable() : undefined);
  }

  async #storeFault(): Promise<string | undefined> {
    const { clock } = this.#parts;
    if (this.#known !== undefined && clock.monotonic() - this.#known.atMs < freshMs) return this.#known.why;
    this.#looking ??= this.#look().finally(() => {
      this.#looking = undefined;
    });
    const found = await within(clock, patienceMs, this.#looking.then((why) => ({ why })));
    return found === undefined ? `the store has not answered for ${patienceMs / 1000} s` : found.why;
  }

  async #look(): Promise<string | undefined> {
    const { store, dbFile, clock, log } = this.#parts;
    const file = await identityOf(dbFile);
    const why = file === this.#file ? await store.write.probe().then(() => undefined, (thrown: unknown) => toBrokerError(thrown).message) : file === undefined ? `the database ${dbFile} is gone` : `another file is in the place of the database ${dbFile}`;
    if (why !== this.#known?.why) {
      if (why === undefined) log.info({}, 'the store takes what is written again');
      else log.error({ why }, 'the store takes nothing that is written');
    }
    this.#known = { atMs: clock.monotonic(), why };
    return why;
  }
}

/** Undefined when it can't be looked at: it is gone, or its disk is. */
function identityOf(path: string): Promise<string | undefined> {
  return stat(path).then(({ dev, ino }) => `${dev} ${ino}`, () => undefined);
}
