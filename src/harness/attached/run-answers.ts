/** What one run asks its people, by the numbers of its process, and what they said: kept until the process has it for sure. */
import { invalid } from '../../domain/errors.ts';
import type { Answer, Ask } from '../../domain/request.ts';
import { mostOpenAsks } from '../../domain/serving-port.ts';
import type { RunKey, ToServer } from '../../domain/serving-port.ts';

/** Answers kept for a process that may have missed them. */
const mostAnswers = 256;

export class RunAnswers {
  readonly #key: RunKey;
  readonly #put: (ask: Ask) => Promise<Answer>;
  readonly #say: (message: ToServer) => void;
  readonly #open = new Set<number>();
  readonly #given = new Map<number, Answer>();

  constructor(key: RunKey, put: (ask: Ask) => Promise<Answer>, say: (message: ToServer) => void) {
    this.#key = key;
    this.#put = put;
    this.#say = say;
  }

  /** The same number again is the same request. @throws BrokerError `invalid` when too many are open */
  ask(number: number, ask: Ask): void {
    if (this.#open.has(number)) return;
    const given = this.#given.get(number);
    if (given !== undefined) return this.#tell(number, given);
    if (this.#open.size >= mostOpenAsks) throw invalid(`a run has at most ${mostOpenAsks} requests open`);
    this.#open.add(number);
    void this.#put(ask).then((answer) => {
      this.#open.delete(number);
      this.#given.set(number, answer);
      const [oldest] = this.#given.keys();
      if (this.#given.size > mostAnswers && oldest !== undefined) this.#given.delete(oldest);
      this.#tell(number, answer);
    });
  }

  /** To a process that was away. */
  repeat(): void {
    for (const [number, answer] of this.#given) this.#tell(number, answer);
  }

  #tell(ask: number, answer: Answer): void {
    this.#say({ type: 'answer', key: this.#key, ask, answer });
  }
}
