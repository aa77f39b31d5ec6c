/**
 * Between an agent and the store, its output and its progress: what arrives while a commit syncs goes into the next one, in order, and the
 * agent is read no further while too much waits.
 */
import type { OutputStream } from '../domain/flight-event.ts';
import type { FlightId } from '../domain/ids.ts';
import { sizeOfProgress } from '../domain/progress.ts';
import type { Progress } from '../domain/progress.ts';
import type { RunChunk, StoreWrites } from '../domain/store-port.ts';
import type { Chronicler } from './chronicler.ts';

/** Of one run, in memory, bytes. */
const roomBytes = 512 * 1024;
/** Of one run, in one commit, bytes: others' commits wait behind it. */
const commitBytes = 256 * 1024;
/** A report counts for this besides its text: thousands of small ones are to be held back too. */
const bytesPerReport = 64;

export interface OutputBufferParts {
  readonly write: Pick<StoreWrites, 'appendOutput'>;
  readonly chronicler: Chronicler;
  /** @param count pieces of the run that are durable by now @param lastSeq of the last of them */
  readonly onStored: (count: number, lastSeq: number) => void;
}

export class OutputBuffer {
  readonly #parts: OutputBufferParts;
  readonly #flightId: FlightId;
  #waiting: RunChunk[] = [];
  #waitingBytes = 0;
  #stored = 0;
  #writing: Promise<void> | undefined;
  #failure: unknown;
  #isEnding = false;
  #roomWanted: (() => void)[] = [];

  constructor(flightId: FlightId, parts: OutputBufferParts) {
    this.#flightId = flightId;
    this.#parts = parts;
  }

  /** Resolves when there is room for more. Rejects once the store has failed: the run can't go on unseen. */
  add(stream: OutputStream, bytes: Uint8Array): Promise<void> {
    return this.#add({ stream, bytes, stamp: this.#parts.chronicler.stamp() });
  }

  /** As `add`, in order with it. */
  addProgress(progress: Progress): Promise<void> {
    return this.#add({ progress, stamp: this.#parts.chronicler.stamp() });
  }

  async #add(chunk: RunChunk): Promise<void> {
    this.#throwIfFailed();
    this.#waiting.push(chunk);
    this.#waitingBytes += sizeOf(chunk);
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

  /** The agent has ended. @returns what is not on its way to the store yet, for the commit of the end. Rejects as `add` does. */
  async rest(): Promise<readonly RunChunk[]> {
    this.#isEnding = true;
    await this.#writing;
    this.#throwIfFailed();
    return this.#waiting.splice(0);
  }

  async #drain(): Promise<void> {
    // What the agent writes in this turn of the event loop belongs into one commit, its end too if it follows at once.
    await new Promise<void>((resolve) => setImmediate(resolve));
    while (this.#waiting.length > 0 && this.#failure === undefined && !this.#isRest()) {
      const chunks = this.#take();
      try {
        const events = await this.#parts.write.appendOutput({ flightId: this.#flightId, chunks });
        this.#stored += chunks.length;
        this.#parts.onStored(this.#stored, events.at(-1)?.seq ?? 0);
      } catch (error) {
        this.#failure = error;
        this.#waiting = [];
      }
      this.#waitingBytes = this.#waiting.reduce((sum, each) => sum + sizeOf(each), 0);
      if (this.#waitingBytes <= roomBytes) for (const resolve of this.#roomWanted.splice(0)) resolve();
    }
    this.#writing = undefined;
  }

  #isRest(): boolean {
    return this.#isEnding && this.#waitingBytes <= commitBytes;
  }

  #take(): RunChunk[] {
    let bytes = 0;
    let count = 0;
    while (count < this.#waiting.length && bytes < commitBytes) bytes += sizeOf(this.#waiting[count++]);
    return this.#waiting.splice(0, count);
  }

  #throwIfFailed(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }
}

function sizeOf(chunk: RunChunk | undefined): number {
  if (chunk === undefined) return 0;
  return 'bytes' in chunk ? chunk.bytes.length : bytesPerReport + sizeOfProgress(chunk.progress);
}
