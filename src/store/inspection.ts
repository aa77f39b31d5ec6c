/** The long reads of the port. Their thread is started by the first of them: an idle node does without. */
import { unavailable } from '../domain/errors.ts';
import type { Log } from '../domain/ports.ts';
import type { StoreInspection } from '../domain/store-port.ts';
import type { QuestionName } from './protocol.ts';
import { WorkerChannel } from './worker-channel.ts';

export class Inspection implements StoreInspection {
  readonly #parts: { readonly path: string; readonly log: Log };
  /** Those that run on a thread of their own. */
  readonly #checks = new Set<Promise<unknown>>();
  #channel: Promise<WorkerChannel> | undefined;
  #isClosed = false;

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
      const channel = await this.#channel;
      return channel.ask(name, args);
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
