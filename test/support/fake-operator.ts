/** The operator's view of a mesh in memory: as a test sets it. */
import type { BrokerApi } from '../../src/broker/api.ts';
import type { ExportInput, ExportLine, MeshReport, TailInput, TailUpdate } from '../../src/broker/operator-api.ts';

export class FakeOperator {
  readonly tailed: TailInput[] = [];
  readonly exported: ExportInput[] = [];
  readonly reportedSince: number[] = [];
  updates: readonly TailUpdate[] = [];
  /** After the updates it goes on without a word. */
  tailsForever = false;
  lines: readonly ExportLine[] = [];
  found: MeshReport | undefined;

  readonly tail: BrokerApi['tail'] = (input, signal) => this.#tail(input, signal);
  readonly export: BrokerApi['export'] = (input) => this.#export(input);

  readonly report: BrokerApi['report'] = (sinceMs) => {
    this.reportedSince.push(sinceMs);
    return this.found === undefined ? Promise.reject(new Error('this test has no report')) : Promise.resolve(this.found);
  };

  async *#tail(input: TailInput, signal: AbortSignal): AsyncGenerator<TailUpdate> {
    this.tailed.push(input);
    yield* this.updates;
    if (this.tailsForever && !signal.aborted) await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
  }

  async *#export(input: ExportInput): AsyncGenerator<ExportLine> {
    this.exported.push(input);
    yield* this.lines;
  }
}
