/**
 * Between an agent's pipes and the store: what arrives while a commit syncs goes into the next one, in order, and the
 * agent is read no further while too much waits.
 */
import type { OutputStream } from '../domain/flight-event.ts';
import type { FlightId } from '../domain/ids.ts';
import type { OutputChunk, StoreWrites } from '../domain/store-port.ts';
import type { Chronicler } from './chronicler.ts';

/** Of one run, in memory, bytes. */
const roomBytes = 512 * 1024;
/** Of one run, in one commit, bytes: others' commits wait behind it. */
const commitBytes = 256 * 1024;

export interface OutputBufferParts {
  readonly write: Pick<StoreWrites, 'appendOutput'>;
  readonly chronicler: Chronicler;
  readonly onStored: () => void;
}

export class OutputBuffer {
  readonly #parts: OutputBufferParts;
  readonly #flightId: FlightId;
  #waiting: OutputChunk[] = [];
  #waitingBytes = 0;
  #writing: Promise<void> | undefined;
  #failure: unknown;
  #roomWanted: (() => void)[] = [];

  constructor(flightId: FlightId, parts: OutputBufferParts) {
    this.#flightId = flightId;
    this.#parts = parts;
  }

  /** Resolves when there is room for more. Rejects once the store has failed: the run can't go on unseen. */
  async add(stream: OutputStream, bytes: Uint8Array): Promise<void> {
    this.#throwIfFailed();
    this.#waiting.push({ stream, bytes, stamp: this.#parts.chronicler.stamp() });
    this.#waitingBytes += bytes.length;
    this.#writing ??= this.#drain();
    if (this.#waitingBytes <= roomBytes) return;
    await new Promise<void>((resolve) => this.#roomWanted.push(resolve));
    this.#throwIfFailed();
  }

  /** Resolves when all that was added is durable. Rejects as `add` does. */
  async flush(): Promise<void> {
    await this.#writing;
    this.#throwIfFailed();
  }

  async #drain(): Promise<void> {
    // What the agent writes in this turn of the event loop belongs into one commit.
    await Promise.resolve();
    while (this.#waiting.length > 0 && this.#failure === undefined) {
      const chunks = this.#take();
      try {
        await this.#parts.write.appendOutput({ flightId: this.#flightId, chunks });
        this.#parts.onStored();
      } catch (error) {
        this.#failure = error;
        this.#waiting = [];
      }
      this.#waitingBytes = this.#waiting.reduce((sum, each) => sum + each.bytes.length, 0);
      if (this.#waitingBytes <= roomBytes) for (const resolve of this.#roomWanted.splice(0)) resolve();
    }
    this.#writing = undefined;
  }

  #take(): OutputChunk[] {
    let bytes = 0;
    let count = 0;
    while (count < this.#waiting.length && bytes < commitBytes) bytes += this.#waiting[count++]?.bytes.length ?? 0;
    return this.#waiting.splice(0, count);
  }

  #throwIfFailed(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }
}
