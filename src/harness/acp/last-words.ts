/** The end of what an agent said beside its protocol: kept for the case that it fails. */
/** Bytes. */
const mostKept = 4 * 1024;
/** Characters of the one line that a message has room for. */
const longestLine = 300;
const newline = 0x0a;

export class LastWords {
  #kept: Buffer = Buffer.alloc(0);

  add(bytes: Uint8Array): void {
    const tail = bytes.subarray(Math.max(0, bytes.length - mostKept));
    // A copy each time, so that no large piece is held in memory by a few bytes of it.
    this.#kept = Buffer.concat([this.#kept.subarray(Math.max(0, this.#kept.length + tail.length - mostKept)), tail]);
  }

  /** As UTF-8, from the first whole line on if there is more than one, and ending in a line's end. */
  get bytes(): Uint8Array {
    const from = this.#kept.length < mostKept ? 0 : this.#kept.indexOf(newline) + 1;
    const text = new TextDecoder().decode(this.#kept.subarray(from)).trimEnd();
    return new TextEncoder().encode(text === '' ? '' : `${text}\n`);
  }

  /** The last line with anything in it; empty when nothing was said. */
  get line(): string {
    const lines = new TextDecoder().decode(this.bytes).split('\n');
    const last = lines.findLast((each) => each.trim() !== '')?.trim() ?? '';
    return last.length <= longestLine ? last : `${last.slice(0, longestLine - 1)}…`;
  }
}
