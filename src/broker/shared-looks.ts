/** What is asked of one agent in the same way, at the same time, is looked up and checked once. */
import type { Candidate } from '../domain/candidate.ts';
import type { Link } from '../domain/mesh-port.ts';
import type { InvokeInput } from './api.ts';

/** Where an invocation goes, as it was found a moment ago. */
export interface Looked {
  readonly target: Candidate;
  /** By which it goes at once. */
  readonly link: Link | undefined;
}

interface Shared {
  readonly input: InvokeInput;
  readonly looked: Promise<Looked>;
}

export class SharedLooks {
  readonly #look: (input: InvokeInput) => Promise<Looked>;
  readonly #bySelector = new Map<InvokeInput['selector'], Shared[]>();

  constructor(look: (input: InvokeInput) => Promise<Looked>) {
    this.#look = look;
  }

  /** Selectors are the same when they are one object. */
  of(input: InvokeInput): Promise<Looked> {
    const shared = this.#bySelector.get(input.selector) ?? [];
    const known = shared.find((each) => asksTheSame(each.input, input));
    if (known !== undefined) return known.looked;
    const looked = this.#look(input);
    this.#bySelector.set(input.selector, [...shared, { input, looked }]);
    return looked;
  }
}

/** All that a look at a target goes by, besides the selector. */
function asksTheSame(a: InvokeInput, b: InvokeInput): boolean {
  return a.caller === b.caller && a.noHold === b.noHold && a.session.mode === b.session.mode && nameIn(a) === nameIn(b);
}

function nameIn({ session }: InvokeInput): string | undefined {
  return session.mode === 'named' ? session.name : undefined;
}
