/** From what a person typed to instances: the pure rules, fed with what this node knows now. */
import { parseAddress, shellAddress } from '../domain/address.ts';
import { BrokerError, invalid, notFound } from '../domain/errors.ts';
import { resolve } from '../domain/resolve.ts';
import type { Candidate, Resolution, ResolveQuery } from '../domain/resolve.ts';
import type { Clock, ProjectProbe } from '../domain/ports.ts';
import type { Store } from '../domain/store-port.ts';
import type { ResolveResult, Selector } from './api.ts';
import type { Registry } from './registry.ts';
import type { Self } from './self.ts';

export interface ResolutionParts {
  readonly store: Store;
  readonly self: Self;
  readonly registry: Registry;
  readonly probe: ProjectProbe;
  readonly clock: Clock;
}

export class Resolver {
  readonly #parts: ResolutionParts;

  constructor(parts: ResolutionParts) {
    this.#parts = parts;
  }

  async explain(selector: Selector): Promise<ResolveResult> {
    const resolution = await this.#resolve(selector);
    const candidates = resolution.explained;
    return resolution.ok
      ? { targets: resolution.targets.map((each) => each.address), candidates }
      : { targets: [], candidates, error: resolution.error.toInfo() };
  }

  /** Exactly one instance. @throws `not_found`, `ambiguous`, `invalid` */
  async one(selector: Selector): Promise<Candidate> {
    const resolution = await this.#resolve(selector);
    if (!resolution.ok) throw resolution.error;
    const [target, ...others] = resolution.targets;
    if (target === undefined || others.length > 0) throw invalid('one call goes to one instance', 'for all of several use: beckon invoke --all');
    return target;
  }

  /** The same for an address without selectors. */
  find(address: string): Candidate {
    const resolution = this.#lookUp(address, {});
    const [target] = resolution.ok ? resolution.targets : [];
    if (target !== undefined) return target;
    throw resolution.ok ? notFound(`no agent ${address} is known`) : resolution.error;
  }

  async #resolve(selector: Selector): Promise<Resolution> {
    const address = selector.address === '.' ? await this.#hereAddress(selector.cwd) : selector.address;
    return this.#lookUp(address, selector);
  }

  #lookUp(address: string, selector: Partial<Selector>): Resolution {
    const { registry, self, clock } = this.#parts;
    const query: ResolveQuery = {
      address: parseAddress(address),
      ...(selector.anyOwner === undefined ? {} : { anyOwner: selector.anyOwner }),
      ...(selector.any === undefined ? {} : { any: selector.any }),
      ...(selector.all === undefined ? {} : { all: selector.all }),
      ...(selector.harness === undefined ? {} : { harness: selector.harness }),
      capabilities: selector.capabilities ?? [],
      labels: selector.labels ?? {},
    };
    const here = { nodeId: self.nodeId, owner: self.owner(), nowMs: clock.now() };
    const resolution = resolve(query, registry.candidates(query.address.agent), here);
    // What is nearest to an address that is none is looked for among all.
    return resolution.ok || resolution.error.code !== 'not_found' ? resolution : resolve(query, registry.candidates(), here);
  }

  /** `.`: the instance whose directory holds the caller's, the innermost of several. */
  async #hereAddress(cwd: string): Promise<string> {
    const directory = await this.#parts.probe.directory(cwd);
    const holding = this.#parts.store.read
      .endpoints()
      .filter((each) => directory === each.cwd || directory.startsWith(`${each.cwd.replace(/\/$/, '')}/`))
      .toSorted((a, b) => b.cwd.length - a.cwd.length);
    const [first, second] = holding;
    if (first === undefined) throw notFound(`no agent of this node works in ${directory}`, 'register one here: beckon agent add -- COMMAND');
    if (second !== undefined && second.cwd === first.cwd) {
      const here = holding.filter((each) => each.cwd === first.cwd).map((each) => each.address);
      throw new BrokerError('ambiguous', `several agents work in ${first.cwd}`, {
        hint: `name one: ${here.map((address) => shellAddress(parseAddress(address))).join(', ')}`,
        candidates: here.map((address) => ({ address })),
      });
    }
    return first.address;
  }
}
