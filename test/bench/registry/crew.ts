/**
 * A thread of this process in which some of the nodes run, whole. Nodes of one heap would stand still together for as long as it is
 * marked (0.7 s of 1 GB, every 13 s): no two machines do that.
 */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import type { Place } from './founding.ts';
import type { Traffic } from './sockets.ts';

export type Order =
  | { readonly type: 'start'; readonly id: number; readonly place: Place }
  | { readonly type: 'stop'; readonly id: number; readonly name: string }
  /** @see SocketMeter */
  | { readonly type: 'gossipAt'; readonly id: number; readonly address: string }
  | { readonly type: 'sent' | 'connections' | 'mark' | 'sinceMark'; readonly id: number };

/** `traffic` of what asks for it; `error` in words. */
export interface Report {
  readonly id: number;
  readonly traffic?: Traffic;
  readonly error?: string;
}

type Wish<O extends Order = Order> = O extends Order ? Omit<O, 'id'> : never;

export class Crew {
  readonly #worker = new Worker(new URL('./crew-worker.ts', import.meta.url));
  readonly #waiting = new Map<number, { readonly resolve: (report: Report) => void; readonly reject: (error: Error) => void }>();
  #next = 1;

  constructor() {
    this.#worker.on('message', (report: Report) => this.#take(report));
    this.#worker.on('error', (error) => this.#giveUp(error));
    this.#worker.on('exit', (code) => this.#giveUp(new Error(`a thread of nodes ended with ${code}`)));
  }

  async start(place: Place): Promise<void> {
    await this.#order({ type: 'start', place });
  }

  async stop(name: string): Promise<void> {
    await this.#order({ type: 'stop', name });
  }

  async gossipAt(address: string): Promise<void> {
    await this.#order({ type: 'gossipAt', address });
  }

  /** Of the ends of connections that are in this thread. */
  async count(what: 'sent' | 'connections' | 'mark' | 'sinceMark'): Promise<Traffic> {
    return (await this.#order({ type: what })).traffic ?? { sessions: 0, gossip: 0 };
  }

  /** All its nodes are stopped, at the latest after their time to drain. */
  async end(): Promise<void> {
    const ended = once(this.#worker, 'exit');
    this.#worker.postMessage(undefined);
    await ended;
  }

  #order(wish: Wish): Promise<Report> {
    const id = this.#next++;
    const reported = new Promise<Report>((resolve, reject) => this.#waiting.set(id, { resolve, reject }));
    this.#worker.postMessage({ ...wish, id });
    return reported;
  }

  #take(report: Report): void {
    const waiting = this.#waiting.get(report.id);
    this.#waiting.delete(report.id);
    if (report.error === undefined) waiting?.resolve(report);
    else waiting?.reject(new Error(report.error));
  }

  #giveUp(error: unknown): void {
    for (const { reject } of this.#waiting.values()) reject(error instanceof Error ? error : new Error(String(error)));
    this.#waiting.clear();
  }
}
