/** Most of what one client asks for goes to few agents, named in the same way: equal selectors become one. */
import type { Selector } from '../broker/api.ts';
import type * as agent from '../gen/beckon/v1/agent.ts';
import { decodeSelector } from './requests.ts';

const mostKnown = 256;

export class KnownSelectors {
  readonly #last = new Map<string, { readonly wire: agent.Selector; readonly selector: Selector }>();

  read(wire: agent.Selector | undefined): Selector {
    const known = wire === undefined ? undefined : this.#last.get(wire.address);
    if (known !== undefined && wire !== undefined && isSame(known.wire, wire)) return known.selector;
    const selector = decodeSelector(wire);
    if (this.#last.size >= mostKnown) this.#last.clear();
    if (wire !== undefined) this.#last.set(wire.address, { wire, selector });
    return selector;
  }
}

function isSame(a: agent.Selector, b: agent.Selector): boolean {
  const isPlain = ({ capabilities, labels }: agent.Selector): boolean => capabilities.length === 0 && Object.keys(labels).length === 0;
  if (a.any !== b.any || a.all !== b.all || a.anyOwner !== b.anyOwner || a.harness !== b.harness || a.cwd !== b.cwd) return false;
  return (isPlain(a) && isPlain(b)) || JSON.stringify([a.capabilities, a.labels]) === JSON.stringify([b.capabilities, b.labels]);
}
