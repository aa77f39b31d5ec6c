/** Adding, removing and showing agent instances. */
import { encodeWorkspace, formatAddress, nameFrom, onNode, parseAddress, parseName } from '../domain/address.ts';
import { conflict, invalid, notFound } from '../domain/errors.ts';
import type { Harness } from '../domain/harness-port.ts';
import { agentIdOf } from '../domain/ids.ts';
import type { Endpoint } from '../domain/invocation.ts';
import type { Log, ProjectProbe, UlidSource } from '../domain/ports.ts';
import type { Page, PageRequest } from '../domain/records.ts';
import type { Registration } from '../domain/registration.ts';
import type { Candidate } from '../domain/candidate.ts';
import type { Store } from '../domain/store-port.ts';
import type { AgentSpec, AgentView } from './api.ts';
import type { Chronicler } from './chronicler.ts';
import type { Registry } from './registry.ts';
import { agentGone } from './runner.ts';
import type { Runner } from './runner.ts';
import type { Self } from './self.ts';

export interface AgentsParts {
  readonly store: Store;
  readonly self: Self;
  readonly registry: Registry;
  readonly runner: Runner;
  readonly harnesses: ReadonlyMap<string, Harness>;
  readonly probe: ProjectProbe;
  readonly chronicler: Chronicler;
  readonly ulids: UlidSource;
  readonly log: Log;
  /** One exact instance by a full or unambiguous address. @throws `not_found`, `ambiguous`, `invalid` */
  readonly find: (address: string) => Candidate;
}

export class Agents {
  readonly #parts: AgentsParts;

  constructor(parts: AgentsParts) {
    this.#parts = parts;
  }

  async add(spec: AgentSpec): Promise<{ agent: AgentView; added: boolean }> {
    const { store, self, chronicler, registry } = this.#parts;
    const cwd = await this.#parts.probe.directory(spec.cwd);
    const address = await this.#addressOf(spec, cwd);
    const harness = this.#harnessOf(spec);
    const endpoint: Endpoint = {
      agentId: agentIdOf(this.#parts.ulids.next()),
      address,
      harness: harness.name,
      cwd,
      argv: spec.argv,
      env: spec.env,
      path: spec.path,
      permissions: spec.permissions,
      isolate: spec.isolate,
    };
    const checked = await harness.check(endpoint);
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
    const { added } = await store.write.addAgent({ stamp: chronicler.stamp(), endpoint, registration });
    if (added) registry.changed();
    return { agent: this.#viewOf(registration), added };
  }

  async remove(text: string): Promise<{ address: string; heldFailed: number }> {
    const { store, self, chronicler, registry, runner } = this.#parts;
    const found = this.#parts.find(text);
    if (found.nodeId !== self.nodeId) throw conflict(`${found.address} belongs to ${found.nodeName}`, `on ${found.nodeName}: beckon agent rm ${found.address}`);
    const { held } = await store.write.removeAgent({ stamp: chronicler.stamp(), address: found.address });
    registry.changed();
    for (const flightId of held) await runner.settleQueued(flightId, { state: 'failed', error: agentGone(found.address).toInfo() });
    return { address: found.address, heldFailed: held.length };
  }

  get(text: string): AgentView {
    return this.#viewOfCandidate(this.#parts.find(text));
  }

  list(node: string | undefined, page: PageRequest): Page<AgentView> {
    const after = page.after;
    const all = this.#parts.registry
      .candidates()
      .filter((each) => node === undefined || each.nodeName === node || each.nodeId === node)
      .filter((each) => after === undefined || each.address > after)
      .toSorted((a, b) => (a.address < b.address ? -1 : 1));
    const shown = all.slice(0, page.limit);
    const last = shown.at(-1);
    return { items: shown.map((each) => this.#viewOfCandidate(each)), ...(all.length > shown.length && last !== undefined ? { next: last.address } : {}) };
  }

  /** Looks again at what this node's agents need, and tells peers what changed. */
  async refreshAvailability(): Promise<void> {
    const { store, harnesses, registry } = this.#parts;
    let changed = false;
    for (const registration of store.read.ownRegistrations()) {
      const endpoint = store.read.endpoint(registration.address);
      const harness = endpoint === undefined ? undefined : harnesses.get(endpoint.harness);
      if (endpoint === undefined || harness === undefined) continue;
      const { available, why } = await harness.check(endpoint);
      if (available === registration.available && why === registration.unavailableWhy) continue;
      await store.write.setAvailability({ address: registration.address, available, ...(why === undefined ? {} : { why }) });
      changed = true;
    }
    if (changed) registry.changed();
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

  #harnessOf(spec: AgentSpec): Harness {
    const name = spec.harness ?? (spec.argv.length > 0 ? 'command' : undefined);
    if (name === undefined) throw invalid('nothing says what to run', 'put the command after --, for example: beckon agent add fabric -- ./agent.sh');
    const harness = this.#parts.harnesses.get(name);
    if (harness === undefined) throw invalid(`there is no harness ${name}`, `known: ${[...this.#parts.harnesses.keys()].join(', ')}`);
    if (name === 'command' && spec.argv.length === 0) throw invalid('the harness command needs a command', 'put it after --, for example: beckon agent add fabric -- ./agent.sh');
    return harness;
  }

  #viewOf(registration: Registration): AgentView {
    const { store, self } = this.#parts;
    const endpoint = store.read.endpoint(registration.address);
    return { registration, ...(endpoint === undefined ? {} : { endpoint }), nodeName: self.name(), owner: self.owner(), state: 'here' };
  }

  #viewOfCandidate(candidate: Candidate): AgentView {
    const { store, self } = this.#parts;
    const registration =
      candidate.nodeId === self.nodeId
        ? store.read.ownRegistrations().find((each) => each.address === candidate.address)
        : store.read.registrations().find(({ registration: each }) => each.nodeId === candidate.nodeId && onNode(each.address, candidate.nodeName) === candidate.address)?.registration;
    if (registration === undefined) throw notFound(`${candidate.address} is no longer registered`);
    if (candidate.nodeId === self.nodeId) return this.#viewOf(registration);
    return { registration: { ...registration, address: candidate.address }, nodeName: candidate.nodeName, owner: candidate.owner, state: candidate.nodeState, lastSeenMs: candidate.lastSeenMs };
  }
}
