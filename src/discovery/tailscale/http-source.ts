/** The machines of a tailnet by its HTTP API, asked for every minute or two and no more often than it wants. */
import { toBrokerError } from '../../domain/errors.ts';
import type { Candidate, DiscoverySource } from '../../domain/discovery-port.ts';
import { pause } from '../../domain/pause.ts';
import type { Clock, Log, Random } from '../../domain/ports.ts';
import type { TailnetMachine } from '../../domain/tailnet.ts';
import { retryAfterDetail } from './http-api.ts';
import { candidateOf, everyMachine, mayRunNode, passes } from './source.ts';
import type { MachineFilter } from './source.ts';

export interface HttpSourceOptions {
  readonly api: { devices(signal?: AbortSignal): Promise<readonly TailnetMachine[]> };
  readonly port: number;
  /** Capabilities are not told there: they let nobody through. */
  readonly filter?: MachineFilter;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

/** No limit is published: uniform between these, ms. */
const between = { least: 60_000, most: 120_000 } as const;
const longestMs = 3_600_000;

export class HttpSource implements DiscoverySource {
  readonly name = 'api';
  readonly #options: HttpSourceOptions;
  readonly #listeners = new Set<() => void>();
  #candidates: readonly Candidate[] = [];
  #stopping: AbortController | undefined;
  #running: Promise<void> | undefined;
  #why = '';

  constructor(options: HttpSourceOptions) {
    this.#options = options;
  }

  start(): Promise<void> {
    if (this.#stopping === undefined) {
      this.#stopping = new AbortController();
      this.#running = this.#run(this.#stopping.signal);
    }
    return Promise.resolve();
  }

  async stop(): Promise<void> {
    this.#stopping?.abort();
    await this.#running;
    this.#stopping = undefined;
  }

  candidates(): readonly Candidate[] {
    return this.#candidates;
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  async #run(signal: AbortSignal): Promise<void> {
    const { clock, random } = this.#options;
    while (!signal.aborted) {
      const askedMs = await this.#ask(signal);
      const usualMs = between.least + random() * (between.most - between.least);
      await pause(clock, Math.max(usualMs, Math.min(askedMs, longestMs)), signal);
    }
  }

  /** @returns how long the server wants to be left alone, ms */
  async #ask(signal: AbortSignal): Promise<number> {
    const { api, port, filter = everyMachine, log } = this.#options;
    try {
      const machines = await api.devices(signal);
      this.#why = '';
      this.#candidates = machines.filter((machine) => mayRunNode(machine) && passes(filter, machine) === true).map((machine) => candidateOf(machine, port));
      for (const listener of this.#listeners) listener();
      return 0;
    } catch (thrown) {
      const { message, hint, detail } = toBrokerError(thrown);
      // What was found stays: the machines are still there.
      if (!signal.aborted && this.#why !== message) log.warn({ why: message, hint }, 'the machines of the tailnet could not be listed');
      this.#why = message;
      return Number(detail?.[retryAfterDetail] ?? 0);
    }
  }
}
