/**
 * What crosses between the threads of the store, packed to be cheap to copy: values in a row instead of objects, whose
 * keys would be written and read with each of them, and small pieces of bytes in one buffer that is handed over.
 */
import type { Answer, Request } from './protocol.ts';

/** Of each request: id, name, size, input. */
export type PackedRequests = readonly unknown[];
/** Of each answer: id, whether it is a value, and the value or why there is none. */
export type PackedAnswers = readonly unknown[];

export function packRequests(requests: readonly Request[]): PackedRequests {
  const packed: unknown[] = [];
  for (const { id, name, size, input } of requests) packed.push(id, name, size, input);
  return packed;
}

export function unpackRequests(packed: PackedRequests): Request[] {
  const requests: Request[] = [];
  for (let at = 0; at < packed.length; at += 4) requests.push({ id: packed[at] as number, name: packed[at + 1] as string, size: packed[at + 2] as number, input: packed[at + 3] });
  return requests;
}

export function packAnswers(answers: readonly Answer[]): PackedAnswers {
  const packed: unknown[] = [];
  for (const answer of answers) {
    if ('error' in answer) packed.push(answer.id, false, { error: answer.error, cause: answer.cause });
    else packed.push(answer.id, true, answer.value);
  }
  return packed;
}

export function unpackAnswers(packed: PackedAnswers): Answer[] {
  const answers: Answer[] = [];
  for (let at = 0; at < packed.length; at += 3) {
    const [id, value] = [packed[at] as number, packed[at + 2]];
    answers.push(packed[at + 1] === true ? { id, value } : { id, ...(value as Omit<Extract<Answer, { error: unknown }>, 'id'>) });
  }
  return answers;
}

/** Handing a buffer over costs more than copying a few bytes. */
const leastTransfer = 16 * 1024;
const [firstPage, nextPage] = [4 * 1024, 64 * 1024];

/** The bytes of all that leaves in one message. A view of a buffer takes the whole of it along, once, however many views there are. */
export class Hold {
  #page = new Uint8Array(0);
  #at = 0;
  #buffers: ArrayBuffer[] = [];

  /** A copy that may be handed over: the caller's stays whole, and may be used again at once. */
  copy(bytes: Uint8Array): Uint8Array {
    if (bytes.length >= leastTransfer) {
      const own = new Uint8Array(bytes);
      this.#buffers.push(own.buffer);
      return own;
    }
    if (this.#at + bytes.length > this.#page.length) this.#turn(bytes.length);
    const place = this.#page.subarray(this.#at, this.#at + bytes.length);
    place.set(bytes);
    this.#at += bytes.length;
    return place;
  }

  /** What the message takes along, all of it; the next one begins anew. */
  empty(): ArrayBuffer[] {
    const buffers = this.#buffers;
    this.#buffers = [];
    this.#page = new Uint8Array(0);
    this.#at = 0;
    return buffers;
  }

  #turn(least: number): void {
    this.#page = new Uint8Array(Math.max(least, this.#buffers.length === 0 ? firstPage : nextPage));
    this.#at = 0;
    this.#buffers.push(this.#page.buffer);
  }
}
