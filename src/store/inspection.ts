/** The long reads of the port. Their thread is started by the first of them: an idle node does without. */
import { overload, unavailable } from '../domain/errors.ts';
import type { Log } from '../domain/ports.ts';
import type { StoreInspection } from '../domain/store-port.ts';
import type { QuestionName } from './protocol.ts';
import { WorkerChannel } from './worker-channel.ts';

/** Asked and not answered; more is told so. */
const mostAsked = 1_000;
const retryAfterMs = 1_000;
/** The end of a flight, and a run that goes on, wait for these. */
const alwaysTaken: ReadonlySet<QuestionName> = new Set(['pieces', 'output']);

export class Inspection implements StoreInspection {
  readonly #parts: { readonly path: string; readonly log: Log };
  /** Those that run on a thread of their own. */
  readonly #checks = new Set<Promise<unknown>>();
  #channel: Promise<WorkerChannel> | undefined;
  #isClosed = false;
  #asked = 0;

  constructor(parts: { readonly path: string; readonly log: Log }) {
    this.#parts = parts;
  }

  readonly flights = this.#question('flights');
  readonly deliveries = this.#question('deliveries');
  readonly deliveriesBySuffix = this.#question('deliveriesBySuffix');
  readonly attempts = this.#question('attempts');
  readonly facts = this.#question('facts');
  readonly countFlights = this.#question('countFlights');
  readonly pieces = this.#question('pieces');
  readonly output = this.#question('output');

  /** All of the file is read for it: what is asked meanwhile does not stand in line behind it. */
  async quickCheck(): Promise<string> {
    if (this.#isClosed) throw unavailable('the store is closed');
    // Who asks while one runs is told what it finds: each is a thread, and reads the whole file.
    const [running] = this.#checks;
    if (running !== undefined) return (await running) as string;
    const check = this.#onItsOwn('quickCheck');
    this.#checks.add(check);
    try {
      return (await check) as string;
    } finally {
      this.#checks.delete(check);
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await Promise.allSettled(this.#checks);
    if (this.#channel === undefined) return;
    const channel = await this.#channel;
    await channel.close();
  }

  #question<Name extends QuestionName>(name: Name): StoreInspection[Name] {
    const ask = async (...args: unknown[]): Promise<unknown> => {
      if (this.#isClosed) throw unavailable('the store is closed');
      this.#channel ??= this.#first();
      if (this.#asked >= mostAsked && !alwaysTaken.has(name)) throw overload(`${mostAsked} questions about what is stored wait for their answers already`, retryAfterMs);
      this.#asked += 1;
      try {
        const channel = await this.#channel;
        return await channel.ask(name, args);
      } finally {
        this.#asked -= 1;
      }
    };
    return ask as unknown as StoreInspection[Name];
  }

  async #onItsOwn(name: QuestionName): Promise<unknown> {
    const channel = await this.#start();
    try {
      return await channel.ask(name, []);
    } finally {
      await channel.close();
    }
  }

  async #first(): Promise<WorkerChannel> {
    try {
      return await this.#start();
    } catch (thrown) {
      this.#channel = undefined;
      throw thrown;
    }
  }

  #start(): Promise<WorkerChannel> {
    const { path, log } = this.#parts;
    return WorkerChannel.start('inspection-worker', { path }, log);
  }
}
