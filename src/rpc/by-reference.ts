/**
 * Messages with megabytes in them, encoded without a copy of those: a plain writer copies them once for itself, once as
 * it grows, once for each message around them, and once at the end, all in one turn of the event loop.
 */
import { BinaryWriter } from '@bufbuild/protobuf/wire';

/** Shorter bytes are copied: that is cheaper than to keep account of them. */
const leastKept = 64 * 1024;

export class ByReferenceWriter extends BinaryWriter {
  #parts: Uint8Array[] = [];
  /** Of each message that is not complete, the first of its parts. */
  readonly #forks: number[] = [];

  override bytes(value: Uint8Array): this {
    if (value.length < leastKept) return super.bytes(value);
    this.uint32(value.length);
    this.#turn();
    this.#parts.push(value);
    return this;
  }

  override fork(): this {
    this.#turn();
    this.#forks.push(this.#parts.length);
    return this;
  }

  override join(): this {
    this.#turn();
    const from = this.#forks.pop() ?? 0;
    this.uint32(lengthOf(this.#parts.slice(from)));
    this.#parts.splice(from, 0, super.finish());
    return this;
  }

  /** All that was written, in order. Long bytes are those that were given: whoever changes them changes the message. */
  parts(): readonly Uint8Array[] {
    this.#turn();
    const parts = this.#parts;
    this.#parts = [];
    return parts;
  }

  override finish(): Uint8Array<ArrayBuffer> {
    return joined(this.parts());
  }

  /** What was written since becomes a part. */
  #turn(): void {
    const written = super.finish();
    if (written.length > 0) this.#parts.push(written);
  }
}

/** One copy of each, and no zeros written before it. */
export function joined(parts: readonly Uint8Array[]): Buffer<ArrayBuffer> {
  return Buffer.concat(parts);
}

export function lengthOf(parts: readonly Uint8Array[]): number {
  return parts.reduce((sum, part) => sum + part.length, 0);
}
