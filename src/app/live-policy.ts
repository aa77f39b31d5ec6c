/** The policy file of a node that runs: read at its start, and again when it is told to. */
import { flawWords } from '../domain/config-view.ts';
import type { ConfigFlaw } from '../domain/config-view.ts';
import { BrokerError } from '../domain/errors.ts';
import type { PolicyFile, PolicyFileView } from '../domain/policy-port.ts';
import type { Log } from '../domain/ports.ts';
import type { Rule } from '../domain/policy.ts';
import { readPolicyFile } from './policy-file.ts';
import type { ReadPolicy } from './policy-file.ts';

export interface LivePolicyParts {
  readonly path: string;
  readonly uid: number;
  readonly log: Log;
}

export class LivePolicy implements PolicyFile {
  readonly #parts: LivePolicyParts;
  readonly #listeners = new Set<() => void>();
  #rules: readonly Rule[];
  #reading: Promise<void> = Promise.resolve();

  private constructor(parts: LivePolicyParts, rules: readonly Rule[]) {
    this.#parts = parts;
    this.#rules = rules;
  }

  /** @throws BrokerError `invalid`: what is wrong first, with its place. A node does not start with half of its rules */
  static async open(parts: LivePolicyParts): Promise<LivePolicy> {
    const { rules, flaws } = await readPolicyFile(parts.path, parts.uid);
    const [first, ...others] = flaws;
    if (first !== undefined) throw new BrokerError('invalid', `${flawWords(first)}${more(others)}`, { hint: first.hint });
    return new LivePolicy(parts, rules);
  }

  get rules(): readonly Rule[] {
    return this.#rules;
  }

  onChange(listener: () => void): void {
    this.#listeners.add(listener);
  }

  /** Reads the file again. One that is wrong changes nothing, and is said in the log. Never rejects. */
  reload(): Promise<void> {
    this.#reading = this.#reading.then(() => this.#reload());
    return this.#reading;
  }

  async view(): Promise<PolicyFileView> {
    const { path, exists, flaws, rules } = await this.#read();
    return { path, exists, flaws, isStale: flaws.length > 0 || !isSame(rules, this.#rules) };
  }

  #read(): Promise<ReadPolicy> {
    return readPolicyFile(this.#parts.path, this.#parts.uid);
  }

  async #reload(): Promise<void> {
    const { log, path } = this.#parts;
    const { rules, flaws } = await this.#read();
    const [flaw] = flaws;
    if (flaw !== undefined) return log.error({ file: path, count: flaws.length }, `the policy file is not taken, and the rules of before stay in force: ${flawWords(flaw)}`);
    if (isSame(rules, this.#rules)) return;
    const before = this.#rules;
    this.#rules = rules;
    log.warn({ file: path, count: rules.length, of: before.length }, `the policy is another from now on: ${rules.length} rules of the file where ${before.length} were`);
    for (const listener of this.#listeners) listener();
  }
}

function more(others: readonly ConfigFlaw[]): string {
  return others.length === 0 ? '' : ` (and more, at ${others.slice(0, 5).map(({ line = 1, column = 1 }) => `${line}:${column}`).join(', ')}${others.length > 5 ? ', …' : ''})`;
}

function isSame(a: readonly Rule[], b: readonly Rule[]): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
