/** The long reads of the port. Their thread is started by the first of them: an idle node does without. */
import { unavailable } from '../domain/errors.ts';
import type { NodeId } from '../domain/ids.ts';
import type { Log } from '../domain/ports.ts';
import type { StoreInspection } from '../domain/store-port.ts';
import type { QuestionName } from './protocol.ts';
import { WorkerChannel } from './worker-channel.ts';

export class Inspection implements StoreInspection {
  readonly #parts: { readonly path: string; readonly nodeId: NodeId; readonly log: Log };
  #channel: Promise<WorkerChannel> | undefined;
  #isClosed = false;

  constructor(parts: { readonly path: string; readonly nodeId: NodeId; readonly log: Log }) {
    this.#parts = parts;
  }

  readonly flights = this.#question('flights');
  readonly deliveries = this.#question('deliveries');
  readonly deliveriesBySuffix = this.#question('deliveriesBySuffix');
  readonly attempts = this.#question('attempts');
  readonly facts = this.#question('facts');
  readonly countFlights = this.#question('countFlights');
  readonly pieces = this.#question('pieces');
  readonly quickCheck = this.#question('quickCheck');
  readonly output = this.#question('output');
  readonly factsIn = this.#question('factsIn');
  readonly factsBefore = this.#question('factsBefore');
  readonly troubles = this.#question('troubles');
  readonly owedTo = this.#question('owedTo');
  readonly exported = this.#question('exported');

  async close(): Promise<void> {
    this.#isClosed = true;
    if (this.#channel === undefined) return;
    const channel = await this.#channel;
    await channel.close();
  }

  #question<Name extends QuestionName>(name: Name): StoreInspection[Name] {
    const ask = async (...args: unknown[]): Promise<unknown> => {
      if (this.#isClosed) throw unavailable('the store is closed');
      this.#channel ??= this.#start();
      const channel = await this.#channel;
      return channel.ask(name, args);
    };
    return ask as unknown as StoreInspection[Name];
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
