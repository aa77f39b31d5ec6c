/** Where words go: answers and documents to stdout, everything else to stderr, colour only on a terminal. */
import { once } from 'node:events';
import type { Writable } from 'node:stream';
import pc from 'picocolors';
import type { BrokerError } from '../domain/errors.ts';
import { harmlessJson, neutralise } from '../domain/text.ts';
import type { Host } from './host.ts';

export type Colours = ReturnType<typeof pc.createColors>;

/** Thrown when nobody reads stdout any more, as in `beckon flights | head`: the command ends quietly. */
export class ReaderGone extends Error {}

export class Output {
  readonly isJson: boolean;
  readonly isTerminal: boolean;
  /** For stdout and for stderr. */
  readonly colours: Colours;
  readonly noteColours: Colours;
  readonly columns: number;
  /** Aborts when the reader of stdout is gone. */
  readonly readerGone: AbortSignal;
  readonly #host: Host;
  readonly #gone = new AbortController();

  /** @param readerGone of the output that this one is a part of, which watches stdout for it */
  constructor(host: Host, isJson: boolean, readerGone?: AbortSignal) {
    this.#host = host;
    this.isJson = isJson;
    this.isTerminal = host.tty.stdout;
    const wantsColour = (host.env['NO_COLOR'] ?? '') === '' && host.env['TERM'] !== 'dumb';
    this.colours = pc.createColors(wantsColour && host.tty.stdout && !isJson);
    this.noteColours = pc.createColors(wantsColour && host.tty.stderr);
    // 0: a terminal that was never told its size.
    this.columns = (host.stdout as { columns?: number }).columns || 80;
    this.readerGone = readerGone ?? this.#gone.signal;
    if (readerGone !== undefined) return;
    host.stdout.on('error', () => this.#gone.abort(new ReaderGone()));
    // Without a reader of stderr there is nobody to tell.
    host.stderr.on('error', () => undefined);
  }

  get nowIso(): string {
    return isoTime(this.#host.clock.now());
  }

  /** Bytes or text as they are, to stdout; resolves when there is room for more. @throws ReaderGone */
  async write(content: Uint8Array | string): Promise<void> {
    await put(this.#host.stdout, content, this.readerGone);
  }

  /** The agent's own stderr, as it is. */
  async writeError(content: Uint8Array | string): Promise<void> {
    await put(this.#host.stderr, content, this.readerGone);
  }

  async line(text = ''): Promise<void> {
    await this.write(`${text}\n`);
  }

  /** One document, or one line of a stream. */
  async json(document: object): Promise<void> {
    await this.write(`${harmlessJson(JSON.stringify(document))}\n`);
  }

  /** An event of a stream: `type` and `at` first. */
  async event(type: string, fields: object, atMs = this.#host.clock.now()): Promise<void> {
    await this.json({ type, at: isoTime(atMs), ...fields });
  }

  /** A line for the person, on stderr. */
  note(text: string): void {
    this.#host.stderr.write(`${text}\n`);
  }

  dim(text: string): string {
    return this.noteColours.dim(text);
  }

  /** One clear line, then `hint:`, then what may have been meant. */
  error(error: BrokerError): void {
    const { red, cyan, dim } = this.noteColours;
    this.note(`${red('error:')} ${neutralise(error.message)}`);
    for (const candidate of error.candidates ?? []) {
      const facts = [
        candidate.state,
        candidate.lastSeenMs === undefined || candidate.state === 'here' ? undefined : `last seen ${localTime(candidate.lastSeenMs)}`,
        candidate.why,
      ].filter((fact) => fact !== undefined && fact !== '');
      this.note(`  ${neutralise(candidate.address)}${facts.length === 0 ? '' : dim(`  ${neutralise(facts.join(', '))}`)}`);
    }
    if (error.hint !== undefined && error.hint !== '') this.note(`${cyan('hint:')} ${neutralise(error.hint)}`);
    if (error.retryAfterMs !== undefined) this.note(`${cyan('hint:')} try again in ${Math.max(1, Math.ceil(error.retryAfterMs / 1000))} s`);
  }
}

/** Many may wait for room on one stream: it is listened to once. */
const waiting = new WeakMap<Writable, Promise<unknown>>();

function drained(stream: Writable, gone: AbortSignal): Promise<unknown> {
  const known = waiting.get(stream);
  if (known !== undefined) return known;
  const room = once(stream, 'drain', { signal: gone }).finally(() => waiting.delete(stream));
  waiting.set(stream, room);
  return room;
}

async function put(stream: Writable, content: Uint8Array | string, gone: AbortSignal): Promise<void> {
  gone.throwIfAborted();
  if (content.length === 0 || stream.write(content)) return;
  try {
    await drained(stream, gone);
  } catch (thrown) {
    gone.throwIfAborted();
    throw new ReaderGone(undefined, { cause: thrown });
  }
}

/** ISO 8601, UTC, with ms. */
export function isoTime(ms: number): string {
  return new Date(ms).toISOString();
}

/** For people: `2026-03-01 14:05:09`, local time. */
export function localTime(ms: number): string {
  const date = new Date(ms);
  const two = (value: number): string => String(value).padStart(2, '0');
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  return `${day} ${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}

/** `12s ago`, `in 3h 5m`. */
export function relativeTime(ms: number, nowMs: number, format: (durationMs: number) => string): string {
  return ms <= nowMs ? `${format(nowMs - ms)} ago` : `in ${format(ms - nowMs)}`;
}
