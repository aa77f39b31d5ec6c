/** What seldom changes (agents, members, shares) and is asked for with every invocation: kept until a write that may change it. */
import type { StoreReads } from '../domain/store-port.ts';

/** Answers to one question, at most. */
const mostAnswers = 10_000;

type Settled = Pick<StoreReads, 'endpoint' | 'ownRegistration' | 'shares' | 'member' | 'membersNamed' | 'membership' | 'removedFrom' | 'mesh' | 'fallenIssuers' | 'projectInstance'>;

export class SettledReads {
  readonly reads: Settled;
  readonly #answers = new Set<Pick<Map<unknown, unknown>, 'clear'>>();
  /** Writes on their way that may change something. */
  #changing = 0;

  constructor(read: StoreReads) {
    this.reads = {
      endpoint: this.#kept((address) => read.endpoint(address)),
      ownRegistration: this.#kept((address) => read.ownRegistration(address)),
      shares: this.#kept((address) => read.shares(address)),
      member: this.#kept((nodeId) => read.member(nodeId)),
      membersNamed: this.#kept((name) => read.membersNamed(name)),
      membership: this.#kept(() => read.membership()),
      removedFrom: this.#kept(() => read.removedFrom()),
      mesh: this.#kept(() => read.mesh()),
      fallenIssuers: this.#kept(() => read.fallenIssuers()),
      projectInstance: this.#kept((address) => read.projectInstance(address)),
    };
  }

  /** Until it has settled nothing is kept: its commit comes before its answer. */
  async changing<Result>(write: Promise<Result>): Promise<Result> {
    this.#changing += 1;
    this.#forget();
    try {
      return await write;
    } finally {
      this.#changing -= 1;
    }
  }

  #kept<Keys extends readonly [key?: unknown], Answer>(ask: (...keys: Keys) => Answer): (...keys: Keys) => Answer {
    const answers = new Map<unknown, { readonly answer: Answer }>();
    this.#answers.add(answers);
    return (...keys) => {
      const known = answers.get(keys[0]);
      if (known !== undefined) return known.answer;
      const answer = ask(...keys);
      if (this.#changing > 0) return answer;
      // Anybody may ask for what is not there.
      if (answers.size >= mostAnswers) answers.clear();
      answers.set(keys[0], { answer });
      return answer;
    };
  }

  #forget(): void {
    for (const answers of this.#answers) answers.clear();
  }
}
