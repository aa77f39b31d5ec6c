/** The policy file of a node that runs: read at its start, and again when it is told to. Each change of it is recorded in the audit. */
import type { Audit } from '../domain/audit.ts';
import { flawWords } from '../domain/config-view.ts';
import type { ConfigFlaw } from '../domain/config-view.ts';
import { BrokerError } from '../domain/errors.ts';
import type { PolicyFile, PolicyFileView } from '../domain/policy-port.ts';
import type { Rule } from '../domain/policy.ts';
import type { Log } from '../domain/ports.ts';
import { readIfThere, writeDurably } from './durable-file.ts';
import { readPolicyFile } from './policy-file.ts';
import type { ReadPolicy } from './policy-file.ts';

export interface LivePolicyParts {
  readonly path: string;
  /** Which file was in force last, by its hash: so that a change while the node was down is recorded, too. */
  readonly seenPath: string;
  readonly uid: number;
  readonly log: Log;
}

type InForce = Pick<ReadPolicy, 'rules' | 'hash'>;

export class LivePolicy implements PolicyFile {
  readonly #parts: LivePolicyParts;
  readonly #listeners = new Set<() => void>();
  #inForce: InForce;
  #audit: Audit | undefined;
  #reading: Promise<void> = Promise.resolve();

  private constructor(parts: LivePolicyParts, inForce: InForce) {
    this.#parts = parts;
    this.#inForce = inForce;
  }

  /** @throws BrokerError `invalid`: what is wrong first, with its place. A node does not start with half of its rules */
  static async open(parts: LivePolicyParts): Promise<LivePolicy> {
    const { rules, hash, flaws } = await readPolicyFile(parts.path, parts.uid);
    const [first, ...others] = flaws;
    if (first !== undefined) throw new BrokerError('invalid', `${flawWords(first)}${more(others)}`, { hint: first.hint });
    return new LivePolicy(parts, { rules, hash });
  }

  get rules(): readonly Rule[] {
    return this.#inForce.rules;
  }

  onChange(listener: () => void): void {
    this.#listeners.add(listener);
  }

  /** From now on changes are recorded; so is one since the node ran last. @throws as every write of the store, or when its own file can't be read */
  async recordIn(audit: Audit): Promise<void> {
    this.#audit = audit;
    const was = await this.#seen();
    if (was !== this.#inForce.hash) await this.#record(was);
  }

  /** Reads the file again. One that is wrong changes nothing, and is said in the log. Never rejects. */
  reload(): Promise<void> {
    const { log, path } = this.#parts;
    this.#reading = this.#reading.then(() => this.#reload()).catch((error: unknown) => log.error({ file: path, err: error }, 'the policy file counts as it was read, and that could not be recorded in the audit'));
    return this.#reading;
  }

  async view(): Promise<PolicyFileView> {
    const { path, exists, flaws, hash } = await this.#read();
    return { path, exists, flaws, isStale: flaws.length > 0 || hash !== this.#inForce.hash };
  }

  #read(): Promise<ReadPolicy> {
    return readPolicyFile(this.#parts.path, this.#parts.uid);
  }

  async #reload(): Promise<void> {
    const { log, path } = this.#parts;
    const { rules, hash, flaws } = await this.#read();
    const [flaw] = flaws;
    if (flaw !== undefined) {
      log.error({ file: path, count: flaws.length }, `the policy file is not taken, and the rules of before stay in force: ${flawWords(flaw)}`);
      return this.#audit?.record({ kind: 'policy.refused', about: { file: path, why: flawWords(flaw) } });
    }
    const before = this.#inForce;
    if (hash === before.hash) return;
    this.#inForce = { rules, hash };
    log.warn({ file: path, count: rules.length, of: before.rules.length }, `the policy is another from now on: ${rules.length} rules of the file where ${before.rules.length} were`);
    for (const listener of this.#listeners) listener();
    await this.#record(before.hash);
  }

  async #record(was: string): Promise<void> {
    const { path, seenPath } = this.#parts;
    const { rules, hash } = this.#inForce;
    await this.#audit?.record({ kind: 'policy.changed', about: { file: path, hash: hash || 'none', was: was || 'none', rules: String(rules.length) } });
    await writeDurably(seenPath, `${hash}\n`);
  }

  async #seen(): Promise<string> {
    return (await readIfThere(this.#parts.seenPath))?.trim() ?? '';
  }
}

function more(others: readonly ConfigFlaw[]): string {
  return others.length === 0 ? '' : ` (and more, at ${others.slice(0, 5).map(({ line = 1, column = 1 }) => `${line}:${column}`).join(', ')}${others.length > 5 ? ', …' : ''})`;
}
