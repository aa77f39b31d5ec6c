/** Adding, removing and showing agent instances. */
import type { Act } from '../domain/audit.ts';
import { encodeWorkspace, formatAddress, nameFrom, parseAddress, parseName } from '../domain/address.ts';
import { conflict, invalid } from '../domain/errors.ts';
import type { BrokerError } from '../domain/errors.ts';
import type { Harness } from '../domain/harness-port.ts';
import { agentIdOf } from '../domain/ids.ts';
import type { FlightId } from '../domain/ids.ts';
import type { Endpoint } from '../domain/invocation.ts';
import type { Log, ProjectProbe, UlidSource } from '../domain/ports.ts';
import { checkPassedOn } from '../domain/node-keys.ts';
import { checkDescribed } from '../domain/registration.ts';
import type { Registration } from '../domain/registration.ts';
import type { Candidate } from '../domain/candidate.ts';
import type { Store } from '../domain/store-port.ts';
import type { Checkouts } from '../domain/worktree-port.ts';
import type { AgentChecks } from './agent-checks.ts';
import type { AgentViews } from './agent-views.ts';
import type { AgentSpec, AgentView } from './api.ts';
import type { Chronicler } from './chronicler.ts';
import { fittingHarness, namedHarness } from './harness-choice.ts';
import { directoryGone } from './isolation.ts';
import type { Registry } from './registry.ts';
import type { Runner } from './runner.ts';
import type { Self } from './self.ts';
import { agentGone } from './verdicts.ts';

/** Looks wait for files and programs, not for each other. */
const looksAtOnce = 8;

/** Ended at a time. */
const batch = 500;

export interface AgentsParts {
  readonly store: Store;
  readonly self: Self;
  readonly registry: Registry;
  readonly views: AgentViews;
  readonly runner: Runner;
  readonly harnesses: ReadonlyMap<string, Harness>;
  readonly checks: AgentChecks;
  readonly checkouts: Checkouts;
  readonly probe: ProjectProbe;
  readonly chronicler: Chronicler;
  readonly ulids: UlidSource;
  readonly log: Log;
  /** One exact instance by a full or unambiguous address. @throws `not_found`, `ambiguous`, `invalid` */
  readonly find: (address: string) => Candidate;
}

export class Agents {
  readonly #parts: AgentsParts;
  /** Addresses that are being looked at, each with the end of the last look. */
  readonly #looking = new Map<string, Promise<void>>();
  readonly #doubted = new Set<string>();

  constructor(parts: AgentsParts) {
    this.#parts = parts;
  }

  async add(spec: AgentSpec, act?: Act): Promise<{ agent: AgentView; added: boolean }> {
    const { store, self, chronicler, registry } = this.#parts;
    checkDescribed(spec);
    checkPassedOn(spec.env);
    const cwd = await this.#parts.probe.directory(spec.cwd);
    const address = await this.#addressOf(spec, cwd);
    const agentId = agentIdOf(this.#parts.ulids.next());
    const harness = await this.#harnessOf(spec, { agentId, address, cwd });
    const checkout = await this.#parts.checkouts.of(cwd);
    const endpoint: Endpoint = {
      agentId,
      address,
      harness: harness.name,
      cwd,
      argv: spec.argv,
      env: spec.env,
      path: spec.path,
      permissions: spec.permissions,
      isolate: spec.isolate,
      ...(spec.concurrency === undefined ? {} : { concurrency: spec.concurrency }),
      ...(spec.queue === undefined ? {} : { queue: spec.queue }),
      ...(checkout === undefined ? {} : { checkout }),
    };
    const checked = await this.#parts.checks.check(endpoint);
    const registration: Registration = {
      address,
      nodeId: self.nodeId,
      harness: harness.name,
      capabilities: spec.capabilities,
      labels: spec.labels,
      visibility: spec.visibility,
      description: spec.description,
      isDefault: spec.isDefault,
      available: checked.available,
      ...(checked.why === undefined ? {} : { unavailableWhy: checked.why }),
    };
    const { added } = await store.write.addAgent({ stamp: chronicler.stamp(), act, endpoint, registration });
    if (added) registry.changed();
    return { agent: this.#parts.views.own(registration), added };
  }

  async remove(text: string, act?: Act): Promise<{ address: string; heldFailed: number }> {
    const { self } = this.#parts;
    const found = this.#parts.find(text);
    if (found.nodeId !== self.nodeId) throw conflict(`${found.address} belongs to ${found.nodeName}`, `on ${found.nodeName}: beckon agent rm ${found.address}`);
    return { address: found.address, heldFailed: await this.unlist(found.address, 'it was removed there', { isByHand: true, act }) };
  }

  /** Held work ends with `why`; what runs goes on to its end. @returns how much was held. @throws `not_found` */
  async unlist(address: string, why: string, { isByHand = false, act }: { readonly isByHand?: boolean; readonly act?: Act | undefined } = {}): Promise<number> {
    const { store, chronicler } = this.#parts;
    const harness = store.read.endpoint(address)?.harness;
    const { held } = await store.write.removeAgent({ stamp: chronicler.stamp(), act, address, why, isByHand });
    await this.unlisted(address, harness, held, why);
    return held.length;
  }

  /** It is gone from the store. */
  async unlisted(address: string, harness: string | undefined, held: readonly FlightId[], why: string): Promise<void> {
    const { registry, runner, harnesses } = this.#parts;
    registry.changed();
    if (harness !== undefined) harnesses.get(harness)?.removed?.(address);
    for (const flightId of held) await runner.settleQueued(flightId, { state: 'failed', error: agentGone(address, why).toInfo() });
  }

  get(text: string): AgentView {
    return this.#parts.views.of(this.#parts.find(text));
  }

  /** Looks again at what this node's agents, or only one of them, need, and tells peers what changed. */
  async refreshAvailability(only?: string): Promise<void> {
    const own = this.#parts.store.read.ownRegistrations();
    const looked = own.filter(({ address }) => only === undefined || address === only).values();
    await Promise.all(Array.from({ length: looksAtOnce }, async () => {
      for (const { address } of looked) await this.#lookAt(address);
    }));
  }

  /** No look is being taken any more. */
  async settled(): Promise<void> {
    await Promise.all(this.#looking.values());
  }

  /** One look after the other: each compares with what the one before has stored. */
  #lookAt(address: string): Promise<void> {
    const looked = (this.#looking.get(address) ?? Promise.resolve()).then(() => this.#look(address));
    const over = (): void => {
      if (this.#looking.get(address) === settled) this.#looking.delete(address);
    };
    const settled = looked.then(over, over);
    this.#looking.set(address, settled);
    return looked;
  }

  async #look(address: string): Promise<void> {
    const { store, checks, registry } = this.#parts;
    const endpoint = store.read.endpoint(address);
    if (endpoint === undefined) return;
    const { available, why, isGone = false } = await checks.check(endpoint);
    if (isGone) await this.#failQueued(address, directoryGone(address, why ?? ''));
    const known = store.read.ownRegistration(address);
    if (known === undefined || (available === known.available && why === known.unavailableWhy)) return;
    await store.write.setAvailability({ address, available, ...(why === undefined ? {} : { why }) });
    registry.changed();
  }

  /** What was just seen of an agent is not what this node says of it. */
  doubt(address: string): void {
    if (this.#doubted.has(address)) return;
    this.#doubted.add(address);
    this.refreshAvailability(address)
      .catch((error: unknown) => this.#parts.log.warn({ agent: address, err: error }, 'an agent could not be looked at again'))
      .finally(() => this.#doubted.delete(address));
  }

  /** What waits for an agent that will not come back. */
  async #failQueued(address: string, error: BrokerError): Promise<void> {
    const { store, runner } = this.#parts;
    for (;;) {
      const queued = store.read.queued(address, batch);
      for (const flightId of queued) await runner.settleQueued(flightId, { state: 'failed', error: error.toInfo() });
      if (queued.length < batch) return;
    }
  }

  async #addressOf(spec: AgentSpec, cwd: string): Promise<string> {
    const directoryName = cwd.split('/').at(-1) ?? '';
    const agent = spec.name === undefined ? nameFrom(directoryName) : parseName(spec.name.replace(/^@/, ''));
    if (agent === undefined) throw invalid(`no agent name can be made from ${JSON.stringify(directoryName)}`, 'give one: beckon agent add NAME …');
    const workspace = spec.workspace ?? (await this.#parts.probe.branch(cwd)) ?? directoryName;
    if (workspace === '') throw invalid('a workspace can’t be empty', 'give one: --workspace main');
    const address = formatAddress({ agent, node: this.#parts.self.name(), workspace: encodeWorkspace(workspace) });
    return formatAddress(parseAddress(address));
  }

  #harnessOf(spec: AgentSpec, at: Pick<Endpoint, 'agentId' | 'address' | 'cwd'>): Harness | Promise<Harness> {
    const { harnesses } = this.#parts;
    const { argv, env, path, isolate, permissions } = spec;
    const name = spec.harness ?? (argv.length > 0 ? 'command' : undefined);
    return name === undefined ? fittingHarness(harnesses, { ...at, argv, env, path, isolate, permissions }) : namedHarness(harnesses, name, spec);
  }
}
