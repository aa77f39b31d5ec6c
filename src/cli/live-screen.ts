/** The whole terminal, drawn over again in place; what was there before comes back in the end. */
import { ReaderGone } from './output.ts';
import type { Output } from './output.ts';
import type { Host } from './host.ts';

const enter = '\u001b[?1049h\u001b[?25l';
const leave = '\u001b[?25h\u001b[?1049l';
const home = '\u001b[H';
const clearLine = '\u001b[K';
const clearBelow = '\u001b[J';
/** A line that is too long is cut at the edge, so that each takes one row. */
const cutLines = '\u001b[?7l';
const wrapLines = '\u001b[?7h';
/** Terminals that know it show what comes in between at once; the others take no notice. */
const beginFrame = '\u001b[?2026h';
const endFrame = '\u001b[?2026l';

/** Seen where keys come one by one; `q` is the usual one to leave such a screen. */
const endKeys = new Set(['q', 'Q', '\u0003']);

export type LiveContent = { readonly last: string } & (
  | {
      /** How many entries there are. */
      readonly count: number;
      /** A head, and the first `most` entries, a line each. */
      readonly lines: (most: number, columns: number) => readonly string[];
    }
  /** What fills that much room, or less of it. */
  | { readonly page: (rows: number, columns: number) => readonly string[] }
);

export interface LiveScreenOptions {
  readonly content: () => LiveContent;
  /** A person wants no more. */
  readonly onEnd: () => void;
  /** How often what is relative to now is drawn again. */
  readonly redrawMs: number;
}

export class LiveScreen {
  readonly #host: Host;
  readonly #out: Output;
  readonly #options: LiveScreenOptions;
  readonly #ended = new AbortController();
  #drawing = Promise.resolve();
  #isStarted = false;
  #shown = { frame: '', room: '' };
  #isWanted = false;
  #cancelTimer = (): void => undefined;

  constructor(host: Host, out: Output, options: LiveScreenOptions) {
    this.#host = host;
    this.#out = out;
    this.#options = options;
  }

  /** As it is now; from then on again by itself, also when the terminal changes its size. @throws ReaderGone */
  async draw(): Promise<void> {
    if (this.#ended.signal.aborted) return;
    if (!this.#isStarted) this.#start();
    // Of many that come at once one is drawn.
    if (!this.#isWanted) {
      this.#isWanted = true;
      this.#drawing = this.#drawing.then(() => this.#drawOnce());
    }
    await this.#drawing;
  }

  /** Gives the terminal back. */
  async stop(): Promise<void> {
    if (this.#ended.signal.aborted) return;
    this.#ended.abort();
    this.#cancelTimer();
    this.#host.stdout.off('resize', this.#redraw);
    if (!this.#isStarted) return;
    await Promise.allSettled([this.#drawing]);
    await this.#out.write(leave).catch(orReaderGone);
  }

  #start(): void {
    this.#isStarted = true;
    this.#drawing = this.#out.write(enter);
    this.#host.stdout.on('resize', this.#redraw);
    void this.#readKeys();
  }

  async #drawOnce(): Promise<void> {
    this.#isWanted = false;
    if (this.#ended.signal.aborted) return;
    this.#cancelTimer();
    // A terminal that was never told its size says 0.
    const size = this.#host.stdout as { readonly columns?: number; readonly rows?: number };
    const [columns, rows] = [size.columns || 80, size.rows || 24];
    const content = this.#options.content();
    const lines = 'page' in content ? content.page(rows - 1, columns).slice(0, rows - 1) : this.#list(content, rows, columns);
    // Cleared before it is written: behind a full line that would take its last character. And no line end in the last row, that would scroll.
    const text = lines.map((line) => `${clearLine}${line}\r\n`).join('');
    const frame = `${home}${cutLines}${text}${clearBelow}${content.last}${wrapLines}`;
    const room = `${columns}x${rows}`;
    if (frame !== this.#shown.frame || room !== this.#shown.room) await this.#out.write(`${beginFrame}${frame}${endFrame}`);
    this.#shown = { frame, room };
    this.#cancelTimer();
    this.#cancelTimer = this.#host.clock.setTimer(this.#options.redrawMs, this.#redraw);
  }

  #list({ count, lines }: Extract<LiveContent, { count: number }>, rows: number, columns: number): readonly string[] {
    const room = Math.max(1, rows - 2);
    const most = count <= room ? count : Math.max(0, room - 1);
    return [...lines(most, columns), ...(most === count ? [] : [this.#out.colours.dim(`and ${count - most} more`)])];
  }

  readonly #redraw = (): void => void this.draw().catch(orReaderGone);

  async #readKeys(): Promise<void> {
    const { readKey } = this.#host;
    const { signal } = this.#ended;
    while (readKey !== undefined && !signal.aborted) {
      const key = await readKey(signal);
      // Without a terminal there is nobody who looks.
      if (key === undefined ? !signal.aborted : endKeys.has(key)) return this.#options.onEnd();
    }
  }
}

/** Without a reader the whole command ends, and says so elsewhere. */
function orReaderGone(thrown: unknown): void {
  if (!(thrown instanceof ReaderGone)) throw thrown;
}
