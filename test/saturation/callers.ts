/** Ten callers, each with its own way of asking for too much, and what became of every call. */
import { setTimeout as delay } from 'node:timers/promises';
import { BrokerError, connect } from '../../src/client/index.ts';
import type { Beckon, CallResult } from '../../src/client/index.ts';

const megabyte = 1024 * 1024;

export interface Kind {
  readonly name: string;
  /** The node that is asked. */
  readonly at: 'alpha' | 'beta';
  readonly address: string;
  /** Calls at once. */
  readonly inFlight: number;
  readonly taskBytes: number;
  /** Of the answer of a call that completed. */
  readonly answerBytes: (taskBytes: number) => number;
}

const same = (bytes: number): number => bytes;
/** Of the agent `page`, a process a run. */
export const pageBytes = 256 * 1024;

export const kinds: readonly Kind[] = [
  { name: 'small, away', at: 'alpha', address: '@echo@beta#main', inFlight: 32, taskBytes: 100, answerBytes: same },
  { name: 'small, away', at: 'alpha', address: '@echo@beta#main', inFlight: 32, taskBytes: 100, answerBytes: same },
  { name: 'small, here', at: 'alpha', address: '@echo@alpha#main', inFlight: 32, taskBytes: 100, answerBytes: same },
  { name: 'small, back', at: 'beta', address: '@echo@alpha#main', inFlight: 16, taskBytes: 1000, answerBytes: same },
  { name: '1 MB tasks', at: 'alpha', address: '@echo@beta#main', inFlight: 4, taskBytes: megabyte, answerBytes: same },
  { name: '16 MB tasks', at: 'alpha', address: '@count@gamma#main', inFlight: 3, taskBytes: 16 * megabyte - 1, answerBytes: () => '16777215'.length },
  { name: 'processes', at: 'alpha', address: '@page@beta#main', inFlight: 4, taskBytes: 10, answerBytes: () => pageBytes },
  { name: 'slow owner', at: 'alpha', address: '@slow@gamma#main', inFlight: 40, taskBytes: 100, answerBytes: () => 'done\n'.length },
  { name: 'slow owner', at: 'beta', address: '@slow@gamma#main', inFlight: 4, taskBytes: 100, answerBytes: () => 'done\n'.length },
  { name: 'slow disk', at: 'beta', address: '@echo@gamma#main', inFlight: 32, taskBytes: 10_000, answerBytes: same },
];

/** What became of the calls of one caller. */
export interface Fates {
  asked: number;
  completed: number;
  /** Refused before acceptance. */
  refused: number;
  /** Ended by the owner. */
  overload: number;
  /** Of what was told to come back, ms. */
  readonly retryAfterMs: number[];
  /** Neither answered nor told `overload`: what instead. */
  readonly broken: string[];
}

export class Caller {
  readonly kind: Kind;
  readonly fates: Fates = { asked: 0, completed: 0, refused: 0, overload: 0, retryAfterMs: [], broken: [] };
  readonly #socketPath: string;
  readonly #task: Uint8Array;
  #client: Beckon | undefined;

  constructor(kind: Kind, socketPath: string) {
    this.kind = kind;
    this.#socketPath = socketPath;
    this.#task = new Uint8Array(kind.taskBytes).fill(97);
  }

  /** Asks until `enough` aborts, then waits for what it has asked for. */
  async run(enough: AbortSignal): Promise<void> {
    this.#client = await connect({ socketPath: this.#socketPath });
    const client = this.#client;
    await Promise.all(Array.from({ length: this.kind.inFlight }, async () => {
      while (!enough.aborted) await this.#call(client, enough);
    }));
    client.close();
  }

  /** Answered, one way or the other. */
  get isSettled(): boolean {
    const { asked, completed, refused, overload, broken } = this.fates;
    return asked === completed + refused + overload + broken.length;
  }

  async #call(client: Beckon, enough: AbortSignal): Promise<void> {
    const { fates, kind } = this;
    fates.asked += 1;
    try {
      const result = await client.invoke(kind.address, this.#task, { overloadMs: 0 }).result();
      const wanted = kind.answerBytes(kind.taskBytes);
      if (result.state === 'failed' && result.error?.code === 'overload') await this.#told('overload', result.error.retryAfterMs, enough);
      else if (result.state === 'completed' && result.bytes.length === wanted) fates.completed += 1;
      else fates.broken.push(describe(result, wanted));
    } catch (error) {
      if (error instanceof BrokerError && error.code === 'overload') await this.#told('refused', error.retryAfterMs, enough);
      else fates.broken.push(error instanceof BrokerError ? `${error.code}: ${error.message}` : String(error));
    }
  }

  async #told(fate: 'refused' | 'overload', retryAfterMs: number | undefined, enough: AbortSignal): Promise<void> {
    if (retryAfterMs === undefined) {
      this.fates.broken.push('overload, without a word of when to come back');
      return;
    }
    this.fates[fate] += 1;
    this.fates.retryAfterMs.push(retryAfterMs);
    await pause(retryAfterMs, enough);
  }
}

function describe({ state, error, bytes, invocationId }: CallResult, wanted: number): string {
  return `${invocationId} ${state} ${error === undefined ? '' : `${error.code}: ${error.message}`} with ${bytes.length} of ${wanted} bytes`;
}

/** As long as that, or until `enough` aborts. */
export async function pause(ms: number, enough: AbortSignal): Promise<void> {
  const over = new Promise<void>((resolve) => {
    enough.addEventListener('abort', () => resolve(), { once: true });
  });
  if (!enough.aborted) await Promise.race([over, delay(ms, undefined, { ref: false })]);
}
