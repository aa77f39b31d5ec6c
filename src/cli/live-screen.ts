/** Lines on a terminal that are drawn over again in place. */
import type { Output } from './output.ts';

const up = (lines: number): string => (lines === 0 ? '' : `\u001b[${lines}A`);
const clearBelow = '\u001b[J';
/** A line that is too long is cut at the edge, so that each takes one row. */
const cutLines = '\u001b[?7l';
const wrapLines = '\u001b[?7h';

export class LiveScreen {
  readonly #out: Output;
  readonly #mostLines: number;
  #drawn = 0;

  /** @param rows of the terminal */
  constructor(out: Output, rows: number) {
    this.#out = out;
    // The last row holds the cursor; what is scrolled away can't be drawn over.
    this.#mostLines = Math.max(2, rows - 1);
  }

  async draw(lines: readonly string[]): Promise<void> {
    const fits = lines.length <= this.#mostLines;
    const shown = fits ? lines : [...lines.slice(0, this.#mostLines - 1), this.#out.colours.dim(`and ${lines.length - this.#mostLines + 1} more`)];
    await this.#out.write(`${up(this.#drawn)}${clearBelow}${cutLines}${shown.map((line) => `${line}\n`).join('')}${wrapLines}`);
    this.#drawn = shown.length;
  }
}
