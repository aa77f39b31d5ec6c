/** The long reads of the port. Their thread is started by the first of them and ends when it is idle: a node at rest does without. */
import { unavailable } from '../domain/errors.ts';
import type { NodeId } from '../domain/ids.ts';
import type { CancelTimer, Clock, Log } from '../domain/ports.ts';
import type { StoreInspection } from '../domain/store-port.ts';
import type { LongReads, QuestionName } from './protocol.ts';
import { WorkerChannel } from './worker-channel.ts';

/** A thread takes about 15 MB, and 30 ms to start. */
const idleMs = 30_000;

export interface InspectionParts {
  readonly path: string;
  readonly nodeId: NodeId;
  readonly log: Log;
  /** Read on the calling thread: a row a state. */
  readonly countFlights: () => Awaited<ReturnType<StoreInspection['countFlights']>>;
  /** Undefined: the thread stays. */
  readonly clock?: Pick<Clock, 'setTimer'> | undefined;
}

export class Inspection implements StoreInspection {
  readonly #parts: InspectionParts;
  #channel: Promise<WorkerChannel> | undefined;
  readonly #ending = new Set<Promise<void>>();
  #asked = 0;
  #cancelIdle: CancelTimer = () => undefined;
  #isClosed = false;

  constructor(parts: InspectionParts) {
    this.#parts = parts;
  }

  readonly flights = this.#question('flights');
  readonly deliveries = this.#question('deliveries');
  readonly deliveriesBySuffix = this.#question('deliveriesBySuffix');
  readonly attempts = this.#question('attempts');
  readonly facts = this.#question('facts');
  readonly pieces = this.#question('pieces');
  readonly quickCheck = this.#question('quickCheck');
  readonly output = this.#question('output');

  async countFlights(): ReturnType<StoreInspection['countFlights']> {
    if (this.#isClosed) throw unavailable('the store is closed');
    return this.#parts.countFlights();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#cancelIdle();
    await this.#end();
    await Promise.all(this.#ending);
  }

  #question<Name extends QuestionName>(name: Name): LongReads[Name] {
    const ask = async (...args: unknown[]): Promise<unknown> => {
      if (this.#isClosed) throw unavailable('the store is closed');
      this.#cancelIdle();
      this.#asked += 1;
      try {
        this.#channel ??= this.#start();
        const channel = await this.#channel;
        return await channel.ask(name, args);
      } finally {
        this.#asked -= 1;
        if (this.#asked === 0 && !this.#isClosed) this.#cancelIdle = this.#parts.clock?.setTimer(idleMs, () => void this.#end()) ?? this.#cancelIdle;
      }
    };
    return ask as unknown as LongReads[Name];
  }

  /** The next question starts another. */
  async #end(): Promise<void> {
    const channel = this.#channel;
    this.#channel = undefined;
    const ended = channel?.then((open) => open.close());
    if (ended === undefined) return;
    this.#ending.add(ended);
    await ended.finally(() => this.#ending.delete(ended));
  }

  async #start(): Promise<WorkerChannel> {
    const { path, nodeId, log } = this.#parts;
    try {
      return await WorkerChannel.start('inspection-worker', { path, nodeId }, log);
    } catch (thrown) {
      this.#channel = undefined;
      throw thrown;
    }
  }
}
