/** What waits to leave on the data stream: tasks in pieces and events, in turns, so that neither holds up the other. */
import type { InvocationId } from '../domain/ids.ts';
import { DataFrame } from '../gen/beckon/v1/mesh.ts';
import type * as wire from '../gen/beckon/v1/mesh.ts';
import { buffer } from '../rpc/fields.ts';
import { largestPiece } from './assembly.ts';

/** Events queued beyond this make the sender wait, bytes. */
const roomForEvents = 1024 * 1024;

interface Sending {
  readonly invocationId: InvocationId;
  /** What has yet to leave. */
  readonly parts: Uint8Array[];
  offset: number;
}

export class DataOutlet {
  readonly #first: Uint8Array[] = [];
  readonly #events: Uint8Array[] = [];
  readonly #tasks: Sending[] = [];
  #eventBytes = 0;
  #taskIsNext = false;
  #waiting: (() => void)[] = [];

  /** Before all else. */
  addFirst(frame: wire.DataFrame): void {
    this.#first.push(DataFrame.encode(frame).finish());
  }

  /** @param parts of the encoded task */
  addTask(invocationId: InvocationId, parts: readonly Uint8Array[]): void {
    this.#tasks.push({ invocationId, parts: [...parts], offset: 0 });
  }

  /** A part of it has yet to leave. */
  isSending(invocationId: InvocationId): boolean {
    return this.#tasks.some((each) => each.invocationId === invocationId);
  }

  addEvents(message: wire.FlightEvents): void {
    const frame = DataFrame.encode({ frame: { $case: 'flightEvents', value: message } }).finish();
    this.#events.push(frame);
    this.#eventBytes += frame.length;
  }

  /** Resolves when there is room for more events, or the outlet was closed. */
  room(): Promise<void> {
    if (this.#eventBytes <= roomForEvents) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** The next frame to send. */
  pull(): Uint8Array | undefined {
    const first = this.#first.shift();
    if (first !== undefined) return first;
    this.#taskIsNext = !this.#taskIsNext;
    return this.#taskIsNext ? (this.#piece() ?? this.#event()) : (this.#event() ?? this.#piece());
  }

  close(): void {
    this.#events.length = 0;
    this.#tasks.length = 0;
    this.#eventBytes = 0;
    this.#wake();
  }

  #event(): Uint8Array | undefined {
    const frame = this.#events.shift();
    if (frame === undefined) return undefined;
    this.#eventBytes -= frame.length;
    if (this.#eventBytes <= roomForEvents) this.#wake();
    return frame;
  }

  #piece(): Uint8Array | undefined {
    const task = this.#tasks[0];
    if (task === undefined) return undefined;
    const { invocationId, offset, parts } = task;
    const content = cut(parts, largestPiece);
    task.offset += content.length;
    if (parts.length === 0) this.#tasks.shift();
    return DataFrame.encode({ frame: { $case: 'taskPiece', value: { invocationId, offset, content } } }).finish();
  }

  #wake(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}

/** Takes the first bytes of what is there, at most so many. */
function cut(parts: Uint8Array[], most: number): Buffer {
  const taken: Uint8Array[] = [];
  let room = most;
  for (let part = parts.shift(); part !== undefined; part = room > 0 ? parts.shift() : undefined) {
    taken.push(part.subarray(0, room));
    if (part.length > room) parts.unshift(part.subarray(room));
    room -= Math.min(room, part.length);
  }
  const [only] = taken;
  return taken.length === 1 && only !== undefined ? buffer(only) : Buffer.concat(taken);
}
