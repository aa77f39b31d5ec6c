/** Requests to one of the store's workers, and their answers. */
import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';
import type { AuditHead } from '../domain/audit.ts';
import { BrokerError, fromInfo, unavailable } from '../domain/errors.ts';
import type { Log } from '../domain/ports.ts';
import { Hold, packRequests, unpackAnswers } from './parcel.ts';
import type { Answer, FromWorker, Request, ToWorker } from './protocol.ts';

/** What a worker says unasked: what it is at while it starts, and how far the audit has come. */
export type Tell = (told: { readonly text: string } | { readonly audited: AuditHead }) => void;

interface Pending {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: BrokerError) => void;
}

/** More do not wait for the turn to end: the worker is at work on them while the rest is made ready. */
const mostTogether = 32;

/** The worker's file lies beside this one, as a source or as build output. */
const urlOf = (name: string): URL => new URL(`./${name}${extname(import.meta.url)}`, import.meta.url);

export class WorkerChannel {
  /** The bytes of what is asked in this turn. */
  readonly hold = new Hold();
  readonly #worker: Worker;
  readonly #log: Log;
  readonly #tell: Tell | undefined;
  readonly #pending = new Map<number, Pending>();
  readonly #ended: Promise<void>;
  #ready: Pending | undefined;
  #outgoing: Request[] = [];
  #isScheduled = false;
  #nextId = 1;
  #gone: BrokerError | undefined;

  /** Starts the worker and resolves when it can work; `tell` hears what it says unasked. @throws BrokerError what the worker could not do at its start */
  static async start(name: string, workerData: unknown, log: Log, tell?: Tell): Promise<WorkerChannel> {
    const channel = new WorkerChannel(new Worker(urlOf(name), { workerData, name: `beckon ${name}` }), log, tell);
    try {
      await new Promise((resolve, reject: Pending['reject']) => {
        channel.#ready = { resolve, reject };
      });
      return channel;
    } catch (thrown) {
      await channel.#ended;
      throw thrown;
    }
  }

  private constructor(worker: Worker, log: Log, tell: Tell | undefined) {
    this.#worker = worker;
    this.#log = log;
    this.#tell = tell;
    worker.on('message', (message: FromWorker) => {
      this.#take(message);
    });
    worker.on('error', (thrown) => {
      this.#log.error({ err: thrown }, 'a worker of the store died');
      this.#lose(new BrokerError('unavailable', 'the store stopped by itself', { cause: thrown }));
    });
    this.#ended = new Promise((resolve) => {
      worker.on('exit', () => {
        this.#lose(unavailable('the store is closed'));
        resolve();
      });
    });
  }

  /** So far. */
  get asked(): number {
    return this.#nextId - 1;
  }

  /** Requests of one turn of the event loop leave together, up to 32, in order, with what was put into the hold. */
  ask(name: string, input: unknown, size = 0): Promise<unknown> {
    if (this.#gone !== undefined) return Promise.reject(this.#gone);
    const id = this.#nextId;
    this.#nextId += 1;
    this.#outgoing.push({ id, name, input, size });
    if (this.#outgoing.length >= mostTogether) {
      this.#flush();
    } else if (!this.#isScheduled) {
      this.#isScheduled = true;
      setImmediate(() => {
        this.#isScheduled = false;
        this.#flush();
      });
    }
    return new Promise((resolve, reject) => {
      this.#pending.set(id, { resolve, reject });
    });
  }

  /** Resolves when all that was asked is answered and the worker has ended. Again: the same. */
  async close(): Promise<void> {
    if (this.#gone === undefined) {
      this.#flush();
      this.#gone = unavailable('the store is closed');
      this.#post('close');
    }
    await this.#ended;
  }

  #flush(): void {
    const requests = this.#outgoing;
    if (requests.length === 0) return;
    this.#outgoing = [];
    this.#post(packRequests(requests), this.hold.empty());
  }

  #post(message: ToWorker, transfers: ArrayBuffer[] = []): void {
    this.#worker.postMessage(message, transfers);
  }

  #take(message: FromWorker): void {
    if (message === 'ready') this.#ready?.resolve(undefined);
    else if ('failed' in message) this.#ready?.reject(fromInfo(message.failed));
    else if ('told' in message) this.#tell?.({ text: message.told });
    else if ('audited' in message) this.#tell?.(message);
    else for (const answer of unpackAnswers(message)) this.#settle(answer);
  }

  #settle(answer: Answer): void {
    const pending = this.#pending.get(answer.id);
    this.#pending.delete(answer.id);
    if (pending === undefined) return;
    if (!('error' in answer)) {
      pending.resolve(answer.value);
      return;
    }
    if (answer.cause !== undefined) this.#log.error({ code: answer.error.code, err: thrownThere(answer.cause) }, answer.error.message);
    pending.reject(fromInfo(answer.error));
  }

  #lose(error: BrokerError): void {
    this.#gone ??= error;
    this.#ready?.reject(error);
    for (const { reject } of this.#pending.values()) reject(error);
    this.#pending.clear();
  }
}

/** From its stack, which is all that came over. */
function thrownThere(stack: string): Error {
  const [first = ''] = stack.split('\n', 1);
  const [, name = 'Error', message = ''] = /^(\w+): (.*)$/.exec(first) ?? [];
  return Object.assign(new Error(message), { name, stack });
}
