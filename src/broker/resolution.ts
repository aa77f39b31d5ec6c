/** From what a person typed to instances: the pure rules, fed with what this node knows now. */
import { parseAddress } from '../domain/address.ts';
import { invalid, notFound } from '../domain/errors.ts';
import { asNodeId } from '../domain/ids.ts';
import { resolve, resolveHere } from '../domain/resolve.ts';
import type { Candidate, Here, Resolution, ResolveQuery } from '../domain/resolve.ts';
import type { Clock, ProjectProbe } from '../domain/ports.ts';
import type { Store } from '../domain/store-port.ts';
import type { ResolveResult, Selector } from './api.ts';
import type { NodePresence } from './presence.ts';
import type { Registry } from './registry.ts';
import type { Self } from './self.ts';

export interface ResolutionParts {
  readonly store: Store;
  readonly self: Self;
  readonly registry: Registry;
  readonly probe: ProjectProbe;
  readonly clock: Clock;
  readonly presence: Pick<NodePresence, 'load'>;
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

  /** Every instance that matches, in address order. @throws as `one` */
  async all(selector: Selector): Promise<readonly Candidate[]> {
    const resolution = await this.#resolve({ ...selector, all: true });
    if (!resolution.ok) throw resolution.error;
    return resolution.targets;
  }

  /** The same for an address without selectors. */
  find(address: string): Candidate {
    const resolution = this.#lookUp(address, {});
    const [target] = resolution.ok ? resolution.targets : [];
    if (target !== undefined) return target;
    throw resolution.ok ? notFound(`no agent ${address} is known`) : resolution.error;
  }

  async #resolve(selector: Selector): Promise<Resolution> {
    return selector.address === '.' ? this.#here(selector) : this.#lookUp(selector.address, selector);
  }

  #lookUp(address: string, selector: Partial<Selector>): Resolution {
    const { registry } = this.#parts;
    const query = { address: parseAddress(address), ...choiceOf(selector) };
    const asker = this.#asker();
    const resolution = resolve(query, this.#loaded(query, registry.candidates(query.address.agent)), asker);
    // What is nearest to an address that is none is looked for among all.
    return resolution.ok || resolution.error.code !== 'not_found' ? resolution : resolve(query, registry.candidates(), asker);
  }

  /** How busy they are decides with `any` only. */
  #loaded({ any = false }: Pick<ResolveQuery, 'any'>, candidates: readonly Candidate[]): readonly Candidate[] {
    if (!any) return candidates;
    return candidates.map((each) => {
      const load = this.#parts.presence.load(asNodeId(each.nodeId), each.address);
      return load === undefined ? each : { ...each, busy: load.running + load.queued };
    });
  }

  /** `.`: the instances whose directory holds the caller's, the innermost of several. */
  async #here(selector: Selector): Promise<Resolution> {
    const { store, self, registry, probe } = this.#parts;
    const directory = await probe.directory(selector.cwd);
    const holding = store.read.endpoints().filter(({ cwd }) => directory === cwd || directory.startsWith(`${cwd.replace(/\/$/, '')}/`));
    const innermost = Math.max(...holding.map(({ cwd }) => cwd.length));
    const nearest = new Set(holding.flatMap(({ cwd, address }) => (cwd.length === innermost ? address : [])));
    const around = new Set(holding.map(({ address }) => address));
    const own = this.#loaded(selector, registry.candidates().filter((each) => each.nodeId === self.nodeId && around.has(each.address)));
    const found = { inside: own.filter((each) => nearest.has(each.address)), outside: own.filter((each) => !nearest.has(each.address)) };
    return resolveHere(choiceOf(selector), directory, found, this.#asker());
  }

  #asker(): Here {
    const { self, clock } = this.#parts;
    return { nodeId: self.nodeId, owner: self.owner(), nowMs: clock.now() };
  }
}

function choiceOf({ anyOwner, any, all, harness, capabilities = [], labels = {} }: Partial<Selector>): Omit<ResolveQuery, 'address'> {
  return {
    ...(anyOwner === undefined ? {} : { anyOwner }),
    ...(any === undefined ? {} : { any }),
    ...(all === undefined ? {} : { all }),
    ...(harness === undefined ? {} : { harness }),
    capabilities,
    labels,
  };
}
