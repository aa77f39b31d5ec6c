/** What is asked of one agent in the same way, at the same time, is looked up and checked once. */
import type { Candidate } from '../domain/candidate.ts';
import type { Link } from '../domain/mesh-port.ts';
import type { Clock } from '../domain/ports.ts';
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
  /** Until then it counts for what is asked later, too, monotonic ms. */
  untilMs: number;
}

/** How long an agent of this node that could run a moment ago is taken for one that can. */
export const lookMs = 50;
/** Selectors with something to share, at most. */
const mostSelectors = 1000;

export interface SharedLooksParts {
  readonly look: (input: InvokeInput) => Promise<Looked>;
  readonly clock: Pick<Clock, 'monotonic'>;
  /** Of what goes elsewhere the link is looked at each time. */
  readonly isHere: (target: Candidate) => boolean;
}

export class SharedLooks {
  readonly #parts: SharedLooksParts;
  readonly #bySelector = new Map<InvokeInput['selector'], Shared[]>();

  constructor(parts: SharedLooksParts) {
    this.#parts = parts;
  }

  /** Selectors are the same when they are one object. Call it for all that is asked at once in one turn of the event loop. */
  of(input: InvokeInput): Promise<Looked> {
    const now = this.#parts.clock.monotonic();
    const current = (this.#bySelector.get(input.selector) ?? []).filter(({ untilMs }) => untilMs > now);
    const known = current.find((each) => asksTheSame(each.input, input));
    if (known !== undefined) return known.looked;
    // While it is looked at, it is shared, however long that takes.
    const shared: Shared = { input, looked: this.#parts.look(input), untilMs: Number.POSITIVE_INFINITY };
    const isKept = ({ target }: Looked): boolean => this.#parts.isHere(target);
    void shared.looked.then((looked) => (isKept(looked) ? now + lookMs : 0), () => 0).then((untilMs) => {
      shared.untilMs = untilMs;
    });
    if (this.#bySelector.size >= mostSelectors) this.#bySelector.clear();
    this.#bySelector.set(input.selector, [...current, shared]);
    return shared.looked;
  }
}

/** All that a look at a target goes by, besides the selector. */
function asksTheSame(a: InvokeInput, b: InvokeInput): boolean {
  return a.caller === b.caller && a.noHold === b.noHold && a.session.mode === b.session.mode && nameIn(a) === nameIn(b);
}

function nameIn({ session }: InvokeInput): string | undefined {
  return session.mode === 'named' ? session.name : undefined;
}
