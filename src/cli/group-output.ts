/** One flight of several on one screen: each of its lines is whole and begins with its address. */
import { harmlessJson, neutralise } from '../domain/text.ts';
import type { Context } from './context.ts';
import type { Host } from './host.ts';
import { Output } from './output.ts';

/** A line that grows beyond this is broken, so that one that never ends costs no memory. */
const longestLine = 64 * 1024;
const newline = 0x0a;

export interface MemberLabel {
  /** Painted, for stdout and for stderr. */
  readonly prefix: string;
  readonly notePrefix: string;
  /** What each line of JSON says besides. */
  readonly fields: object;
  readonly raw: boolean;
}

export class MemberOutput extends Output {
  readonly #label: MemberLabel;
  readonly #tty: Host['tty'];
  readonly #lines = { stdout: new WholeLines(), stderr: new WholeLines() };

  constructor(host: Host, whole: Output, label: MemberLabel) {
    super(host, whole.isJson, whole.readerGone);
    this.#label = label;
    this.#tty = host.tty;
  }

  override async write(content: Uint8Array | string): Promise<void> {
    for (const line of this.#lines.stdout.push(content)) await super.write(this.#line(line, 'stdout'));
  }

  override async writeError(content: Uint8Array | string): Promise<void> {
    for (const line of this.#lines.stderr.push(content)) await super.writeError(this.#line(line, 'stderr'));
  }

  override note(text: string): void {
    for (const line of text.split('\n')) super.note(`${this.#label.notePrefix}${line}`);
  }

  override async event(type: string, fields: object, atMs?: number): Promise<void> {
    await super.event(type, { ...this.#label.fields, ...fields }, atMs);
  }

  override async json(document: object): Promise<void> {
    await super.write(`${harmlessJson(JSON.stringify(document))}\n`);
  }

  /** Lines that nobody ended. */
  async flush(): Promise<void> {
    for (const line of this.#lines.stdout.end()) await super.write(this.#line(line, 'stdout'));
    for (const line of this.#lines.stderr.end()) await super.writeError(this.#line(line, 'stderr'));
  }

  #line(line: Uint8Array, stream: 'stdout' | 'stderr'): Uint8Array | string {
    const { prefix, notePrefix, raw } = this.#label;
    const begin = stream === 'stdout' ? prefix : notePrefix;
    if (raw || !this.#tty[stream]) return Buffer.concat([Buffer.from(begin), line, Buffer.from('\n')]);
    const text = new TextDecoder('utf-8', { ignoreBOM: true }).decode(line);
    return `${begin}${neutralise(text.endsWith('\r') ? text.slice(0, -1) : text)}\n`;
  }
}

/** What a member's view is given: a screen on which it can't move the cursor, since others write there too. */
export function memberContext(context: Context, out: MemberOutput): Context {
  const host = Object.create(context.host, { tty: { value: { ...context.host.tty, stdout: false, stderr: false } } }) as Host;
  return { ...context, host, out };
}

class WholeLines {
  #rest: Uint8Array[] = [];
  #size = 0;

  /** @returns the lines that are complete, without their ends */
  push(content: Uint8Array | string): Uint8Array[] {
    const bytes = typeof content === 'string' ? Buffer.from(content) : content;
    const lines: Uint8Array[] = [];
    let from = 0;
    for (let at = bytes.indexOf(newline); at >= 0; at = bytes.indexOf(newline, from)) {
      this.#keep(bytes.subarray(from, at));
      lines.push(this.#take());
      from = at + 1;
    }
    this.#keep(bytes.subarray(from));
    if (this.#size > longestLine) lines.push(this.#take());
    return lines;
  }

  end(): Uint8Array[] {
    return this.#size === 0 ? [] : [this.#take()];
  }

  #keep(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    // The giver may use its buffer again.
    this.#rest.push(new Uint8Array(bytes));
    this.#size += bytes.length;
  }

  #take(): Uint8Array {
    const line = Buffer.concat(this.#rest);
    this.#rest = [];
    this.#size = 0;
    return line;
  }
}
