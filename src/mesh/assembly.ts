/**
 * Puts tasks together that arrive in pieces, and keeps the order of what is said about their invocations. The head
 * comes on the control stream and the pieces on the data stream, so either may be first. Everything is bounded; what
 * breaks a bound or the order throws BrokerError `invalid`, and the session ends.
 */
import { invalid } from '../domain/errors.ts';
import type { BrokerError } from '../domain/errors.ts';
import type { InvocationId } from '../domain/ids.ts';
import { maxTaskBytes } from '../domain/invocation.ts';
import type { ControlMessage, Forward } from '../domain/messages.ts';
import { taskIn } from '../rpc/large-task.ts';
import { completeForward } from './control-frames.ts';
import type { ForwardHead, Piece } from './control-frames.ts';

export const largestPiece = 32 * 1024;
/** A task of the largest size with the names of its files. */
export const largestEncodedTask = maxTaskBytes + 2 * 1024 * 1024;
/** Bytes in assembly for one peer. A sender finishes one task before it starts the next. */
const mostBytes = 2 * largestEncodedTask;
const mostTasks = 4096;
const mostHeld = 4096;
/** Of what is held back until its task is whole, as it came. */
const mostHeldBytes = 4 * 1024 * 1024;

interface Entry {
  head: ForwardHead | undefined;
  /** It was announced once more before it was whole: its origin did not know that it was on its way. Its pieces come again, too. */
  again: ForwardHead | undefined;
  /** Its head was refused: so many bytes arrive for nothing. */
  skippedBytes: number | undefined;
  /** What came before its head did, or found no place. */
  readonly pieces: Uint8Array[];
  /** Of the whole task, once its size is known: pieces are put there as they come, not all at the end in one turn of the event loop. */
  content: Buffer | undefined;
  received: number;
  readonly held: ControlMessage[];
  heldBytes: number;
}

/** A task that is whole, and what was said about its invocation meanwhile. */
export interface Assembled {
  readonly forward: Forward;
  readonly bytes: number;
  readonly held: readonly ControlMessage[];
}

export class Assembly {
  readonly #entries = new Map<InvocationId, Entry>();
  #bytes = 0;
  /** Of contents. */
  #placed = 0;
  #held = 0;
  #heldBytes = 0;

  /** Bytes of tasks whose head has not come: nobody has made room for them. */
  get unannouncedBytes(): number {
    let bytes = 0;
    for (const { head, skippedBytes, received } of this.#entries.values()) if (head === undefined && skippedBytes === undefined) bytes += received;
    return bytes;
  }

  /** Whether a task of that invocation is on its way, and was announced. */
  expects(invocationId: InvocationId): boolean {
    return this.#entries.get(invocationId)?.head !== undefined;
  }

  announce(head: ForwardHead): Assembled | undefined {
    if (head.taskBytes === 0 || head.taskBytes > largestEncodedTask) throw invalid(`a task of ${head.taskBytes} bytes was announced`);
    const entry = this.#entry(head.invocation.id);
    if (entry.head !== undefined) {
      if (entry.head.taskBytes !== head.taskBytes) throw invalid(`the task of ${head.invocation.id} was announced with ${entry.head.taskBytes} bytes, and with ${head.taskBytes}`);
      entry.again = head;
      return undefined;
    }
    entry.head = head;
    if (entry.received > head.taskBytes) throw moreThanAnnounced(head.invocation.id);
    return this.#completed(head.invocation.id, entry);
  }

  /** The head was refused; its task may still arrive, and is dropped. */
  skip(invocationId: InvocationId, taskBytes: number): void {
    const entry = this.#entry(invocationId);
    entry.skippedBytes = taskBytes;
    this.#bytes -= entry.received;
    this.#placed -= entry.content?.length ?? 0;
    entry.content = undefined;
    entry.pieces.length = 0;
    this.#dropSkipped(invocationId, entry);
  }

  add(piece: Piece): Assembled | undefined {
    const entry = this.#entry(piece.invocationId);
    const { length } = piece.content;
    if (length > largestPiece) throw invalid(`a piece of a task has ${length} bytes, more than ${largestPiece}`);
    if (piece.offset !== entry.received) {
      throw invalid(`a piece of the task of ${piece.invocationId} starts at ${piece.offset}, not at ${entry.received}`);
    }
    if (entry.skippedBytes !== undefined) {
      entry.received += length;
      this.#dropSkipped(piece.invocationId, entry);
      return undefined;
    }
    if (this.#bytes + length > mostBytes) throw invalid('more tasks at once than a peer may send in pieces');
    if (entry.received + length > (entry.head?.taskBytes ?? Infinity)) throw moreThanAnnounced(piece.invocationId);
    this.#put(entry, piece.content);
    entry.received += length;
    this.#bytes += length;
    return this.#completed(piece.invocationId, entry);
  }

  /** True when the message must wait for the task of its invocation: it then comes with `Assembled`. */
  hold(invocationId: InvocationId, message: ControlMessage, bytes = 0): boolean {
    const entry = this.#entries.get(invocationId);
    if (entry === undefined || entry.skippedBytes !== undefined) return false;
    if (this.#held >= mostHeld || this.#heldBytes + bytes > mostHeldBytes) throw invalid('too much was said about tasks that have not arrived');
    this.#held += 1;
    this.#heldBytes += bytes;
    entry.heldBytes += bytes;
    entry.held.push(message);
    return true;
  }

  #entry(invocationId: InvocationId): Entry {
    const known = this.#entries.get(invocationId);
    if (known !== undefined) return known;
    if (this.#entries.size >= mostTasks) throw invalid('more tasks at once than a peer may send in pieces');
    const entry: Entry = { head: undefined, again: undefined, skippedBytes: undefined, pieces: [], content: undefined, received: 0, held: [], heldBytes: 0 };
    this.#entries.set(invocationId, entry);
    return entry;
  }

  #put(entry: Entry, piece: Uint8Array): void {
    const { head, pieces, received } = entry;
    // Room for all that is announced would be taken by announcing alone: no more than may be sent.
    if (entry.content === undefined && head !== undefined && this.#placed + head.taskBytes <= mostBytes) {
      entry.content = Buffer.allocUnsafeSlow(head.taskBytes);
      this.#placed += head.taskBytes;
      let at = 0;
      for (const early of pieces.splice(0)) {
        entry.content.set(early, at);
        at += early.length;
      }
    }
    if (entry.content === undefined) pieces.push(piece);
    else entry.content.set(piece, received);
  }

  #dropSkipped(invocationId: InvocationId, { received, skippedBytes = 0 }: Entry): void {
    if (received >= skippedBytes) this.#entries.delete(invocationId);
  }

  #completed(invocationId: InvocationId, { head, again, pieces, content, received, held, heldBytes }: Entry): Assembled | undefined {
    if (head === undefined || received < head.taskBytes) return undefined;
    this.#entries.delete(invocationId);
    this.#bytes -= received;
    this.#placed -= content?.length ?? 0;
    this.#held -= held.length;
    this.#heldBytes -= heldBytes;
    if (again !== undefined) this.#entry(invocationId).head = again;
    return { forward: completeForward(head, taskIn(content ?? Buffer.concat(pieces))), bytes: received, held };
  }
}

function moreThanAnnounced(invocationId: InvocationId): BrokerError {
  return invalid(`the task of ${invocationId} has more bytes than announced`);
}
