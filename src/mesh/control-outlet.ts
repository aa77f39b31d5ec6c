/** What waits to leave on the control stream: what keeps the session first, then messages in order. */
import { ControlFrame } from '../gen/beckon/v1/mesh.ts';
import type * as wire from '../gen/beckon/v1/mesh.ts';
import { largestFrame } from './frame-stream.ts';

/** Queued beyond this, the peer reads too slowly to be worth keeping, bytes. */
const mostBytes = 64 * 1024 * 1024;
/** Answers to heartbeats that wait: a peer that reads none of them needs no more. */
const mostUrgent = 64;

export class ControlOutlet {
  readonly #urgent: Uint8Array[] = [];
  readonly #queue: Uint8Array[] = [];
  #bytes = 0;

  get isOverfull(): boolean {
    return this.#bytes > mostBytes;
  }

  addUrgent(frame: wire.ControlFrame['frame']): void {
    if (frame?.$case === 'heartbeatReply' && this.#urgent.length >= mostUrgent) return;
    this.#urgent.push(ControlFrame.encode({ frame }).finish());
  }

  /** @returns its size when it is too large for any message and was not taken */
  add(frame: wire.ControlFrame['frame']): number | undefined {
    const encoded = ControlFrame.encode({ frame }).finish();
    if (encoded.length > largestFrame) return encoded.length;
    this.#queue.push(encoded);
    this.#bytes += encoded.length;
    return undefined;
  }

  /** The next frame to send. */
  pull(): Uint8Array | undefined {
    const urgent = this.#urgent.shift();
    if (urgent !== undefined) return urgent;
    const frame = this.#queue.shift();
    if (frame !== undefined) this.#bytes -= frame.length;
    return frame;
  }

  /** Only a last word still leaves. */
  close(): void {
    this.#queue.length = 0;
    this.#bytes = 0;
  }
}
