/** What is going on while nothing is said: the last line of a terminal, gone before anything else is written. */
import { formatDuration } from '../domain/duration.ts';
import type { CancelTimer } from '../domain/ports.ts';
import type { Context } from './context.ts';

/** Silence before it appears, and between its changes, ms. */
const beatMs = 1000;

export class StatusLine {
  readonly #context: Context;
  #words: string | undefined;
  #sinceMs = 0;
  #isShown = false;
  #stopTimer: CancelTimer | undefined;

  /** Shows nothing where stderr is no terminal that can take a line back. */
  constructor(context: Context) {
    this.#context = context;
  }

  /** Says this from the next second of silence on; undefined: nothing. */
  set(words: string | undefined): void {
    this.clear();
    this.#words = words;
    this.#sinceMs = this.#context.host.clock.monotonic();
    this.rest();
  }

  /** The same goes on, and this is what is said of it from the next beat on. */
  update(words: string): void {
    this.#words = words;
  }

  /** Takes it off the screen, for something else to be written. */
  clear(): void {
    this.#stopTimer?.();
    this.#stopTimer = undefined;
    if (!this.#isShown) return;
    this.#isShown = false;
    this.#context.host.stderr.write('\r\u001b[K');
  }

  /** What was to be written is: the silence begins anew. The cursor is at the beginning of a line. */
  rest(): void {
    this.#stopTimer?.();
    this.#stopTimer = undefined;
    const { host, out } = this.#context;
    if (this.#words === undefined || out.isJson || !host.tty.stderr || host.env['TERM'] === 'dumb') return;
    this.#stopTimer = host.clock.setTimer(beatMs, () => this.#show());
  }

  #show(): void {
    const { host, out } = this.#context;
    const tookMs = Math.floor((host.clock.monotonic() - this.#sinceMs) / beatMs) * beatMs;
    const line = `${this.#words ?? ''} … ${formatDuration(tookMs)}`.slice(0, Math.max(0, out.columns - 1));
    host.stderr.write(`\r\u001b[K${out.dim(line)}`);
    this.#isShown = true;
    this.rest();
  }
}
