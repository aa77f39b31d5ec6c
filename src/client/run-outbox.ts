/**
 * What one run says to its node, in order: no more pieces on the way than the window allows, and each kept until the
 * node has it on disk. So the process can say again, on the next connection, what the last one may have lost.
 */
import { sizeOfPiece, windowBytes } from '../domain/serving-port.ts';
import type { FromServer } from '../domain/serving-port.ts';

type Message = Exclude<FromServer, { type: 'drain' }>;

const sizeOf = (message: Message): number => (message.type === 'piece' ? sizeOfPiece(message.piece) : 0);

export class RunOutbox {
  readonly #send: (message: Message) => void;
  readonly #waiting: Message[] = [];
  /** Sent, and not durable, answered or closed yet. */
  #flying: Message[] = [];
  #waitingBytes = 0;
  #flyingBytes = 0;
  #isClosed = false;

  constructor(send: (message: Message) => void) {
    this.#send = send;
  }

  /** Whoever makes more should wait until there is. */
  get hasRoom(): boolean {
    return this.#waitingBytes + this.#flyingBytes <= windowBytes;
  }

  add(message: Message): void {
    if (this.#isClosed) return;
    // Only the last name counts.
    if (message.type === 'session') this.#keep((each) => each.type !== 'session');
    this.#waiting.push(message);
    this.#waitingBytes += sizeOf(message);
    this.#pump();
  }

  /** The node has pieces up to this number on disk. */
  stored(pieces: number): void {
    this.#keep((message) => message.type !== 'piece' || message.number > pieces);
    this.#pump();
  }

  answered(ask: number): void {
    this.#keep((message) => message.type !== 'ask' || message.number !== ask);
  }

  /** A new connection: the node has pieces up to this number, if not on disk. */
  resume(received: number): void {
    for (const message of this.#flying) if (message.type !== 'piece' || message.number > received) this.#send(message);
    this.#pump();
  }

  /** Nobody waits for any of it. */
  close(): void {
    this.#isClosed = true;
    this.#waiting.length = 0;
    this.#keep(() => false);
  }

  #pump(): void {
    for (let next = this.#waiting[0]; next !== undefined; next = this.#waiting[0]) {
      const size = sizeOf(next);
      if (this.#flyingBytes > 0 && size > 0 && this.#flyingBytes + size > windowBytes) return;
      this.#waiting.shift();
      this.#waitingBytes -= size;
      this.#flying.push(next);
      this.#flyingBytes += size;
      this.#send(next);
    }
  }

  #keep(isNeeded: (message: Message) => boolean): void {
    this.#flying = this.#flying.filter(isNeeded);
    this.#flyingBytes = this.#flying.reduce((sum, message) => sum + sizeOf(message), 0);
  }
}
