/** Questions to the person at the terminal, a line each; what is asked goes to stderr. */
import { createInterface } from 'node:readline';
import type { Interface } from 'node:readline';
import { BrokerError } from '../domain/errors.ts';
import type { Context } from './context.ts';

/** The person is gone, or ended the input: nothing more is asked or done. */
function leftOff(again: string): BrokerError {
  return new BrokerError('cancelled', 'nobody answers any more', { hint: `what was done stays; go on later: ${again}` });
}

export class Asking implements Disposable {
  readonly #context: Context;
  readonly #lines: AsyncIterator<string>;
  readonly #reader: Interface;
  readonly #again: string;

  /** @param again what to type to go on later */
  constructor(context: Context, again = 'beckon setup') {
    this.#context = context;
    this.#again = again;
    this.#reader = createInterface({ input: context.host.stdin, terminal: false });
    this.#lines = this.#reader[Symbol.asyncIterator]();
  }

  /** What is typed, or `usual` for an empty line. @throws BrokerError `cancelled` when the input ends */
  async line(question: string, usual: string): Promise<string> {
    this.#context.host.stderr.write(`${question}${usual === '' ? '' : ` [${usual}]`} `);
    const { value, done } = await this.#lines.next();
    if (done === true) {
      this.#context.out.note('');
      throw leftOff(this.#again);
    }
    const typed = value.trim();
    return typed === '' ? usual : typed;
  }

  /** Asks until it is one of them. */
  async choice<Choice extends string>(question: string, choices: readonly Choice[], usual: Choice): Promise<Choice> {
    for (;;) {
      const typed = (await this.line(`${question} (${choices.join('/')})`, usual)).toLowerCase();
      const chosen = choices.find((each) => each === typed);
      if (chosen !== undefined) return chosen;
      this.#context.out.note(`  one of ${choices.join(', ')}`);
    }
  }

  /** No is what an empty line means, unless `usual` says otherwise. */
  async yes(question: string, usual: 'y' | 'n' = 'n'): Promise<boolean> {
    for (;;) {
      const typed = (await this.line(question, usual === 'y' ? 'Y/n' : 'y/N')).toLowerCase();
      if (typed === 'y/n') return usual === 'y';
      if (/^(y|yes)$/.test(typed)) return true;
      if (/^(n|no)$/.test(typed)) return false;
      this.#context.out.note('  y or n');
    }
  }

  [Symbol.dispose](): void {
    this.#reader.close();
  }
}
