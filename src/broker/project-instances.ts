/** Making, changing and removing the instances of one approved project, as its worktrees are now. */
import type { Act } from '../domain/audit.ts';
import { toBrokerError } from '../domain/errors.ts';
import type { Harness } from '../domain/harness-port.ts';
import { agentIdOf } from '../domain/ids.ts';
import type { Endpoint } from '../domain/invocation.ts';
import type { Log, UlidSource } from '../domain/ports.ts';
import type { KeptInstance, PlacedInstance, Reconciled } from '../domain/project-instances.ts';
import type { FoundProject } from '../domain/project-port.ts';
import type { Project, ProjectDefinition } from '../domain/project.ts';
import type { Registration } from '../domain/registration.ts';
import type { Store } from '../domain/store-port.ts';
import type { Checkouts } from '../domain/worktree-port.ts';
import type { AgentChecks } from './agent-checks.ts';
import type { Agents } from './agents.ts';
import type { Chronicler } from './chronicler.ts';
import type { Judgement } from './project-judgement.ts';
import type { Registry } from './registry.ts';
import type { Runner } from './runner.ts';
import type { Self } from './self.ts';

export interface InstancesParts {
  readonly store: Store;
  readonly self: Self;
  readonly registry: Registry;
  readonly runner: Runner;
  readonly agents: Agents;
  readonly harnesses: ReadonlyMap<string, Harness>;
  readonly checks: AgentChecks;
  readonly checkouts: Checkouts;
  readonly chronicler: Chronicler;
  readonly ulids: UlidSource;
  readonly log: Log;
  readonly judgement: Judgement;
}

/** Addresses. */
export interface InstanceChanges {
  readonly added: readonly string[];
  readonly removed: readonly string[];
}

export class ProjectInstances {
  readonly #parts: InstancesParts;

  constructor(parts: InstancesParts) {
    this.#parts = parts;
  }

  /** @returns besides, who is busy and moves later, and who got no instance and why */
  async bring(project: Project, found: FoundProject): Promise<InstanceChanges & Pick<Reconciled, 'later'> & { readonly refused: readonly string[] }> {
    const { agents, judgement, log, registry } = this.#parts;
    const { root, definition } = project;
    const plan = judgement.planOf(found, definition, project, await this.#known(project, found));
    for (const { address, why } of plan.remove) {
      const held = await agents.unlist(address, why);
      log.info({ agent: address, project: root, held, why }, 'the instance of a worktree is unlisted');
    }
    const refused = plan.refused.map(({ why }) => why);
    const added: string[] = [];
    let isNews = false;
    try {
      for (const placed of plan.keep) if (await this.#put(project, placed, definition)) isNews = true;
      for (const placed of plan.add) {
        const conflict = await this.#add(project, placed, definition);
        if (conflict === undefined) added.push(placed.address);
        else refused.push(conflict);
      }
    } finally {
      if (isNews || added.length > 0) registry.changed();
    }
    return { added, removed: plan.remove.map(({ address }) => address), later: plan.later, refused };
  }

  /** Whether they can be called has changed, all at once. */
  async lookAt(root: string): Promise<void> {
    for (const { address } of this.#of(root)) await this.#parts.agents.refreshAvailability(address);
  }

  async removeAll(root: string, why: string): Promise<InstanceChanges> {
    const addresses = this.#of(root).map(({ address }) => address);
    for (const address of addresses) await this.#parts.agents.unlist(address, why);
    return { added: [], removed: addresses };
  }

  async forget(root: string, act?: Act): Promise<{ removed: readonly string[]; heldFailed: number }> {
    const { store, chronicler, agents } = this.#parts;
    const why = 'its project was forgotten there';
    const harness = store.read.project(root)?.definition.harness;
    const { removed } = await store.write.forgetProject({ stamp: chronicler.stamp(), act, root, why });
    for (const { address, held } of removed) await agents.unlisted(address, harness, held, why);
    return { removed: removed.map(({ address }) => address), heldFailed: removed.reduce((sum, { held }) => sum + held.length, 0) };
  }

  async #known({ root }: Project, found: FoundProject): Promise<readonly KeptInstance[]> {
    const { store, checkouts, runner } = this.#parts;
    const there = new Set(found.worktrees.map(({ top }) => top));
    const known: KeptInstance[] = [];
    for (const { address, top } of this.#of(root)) {
      const checkout = store.read.endpoint(address)?.checkout;
      const isThere = there.has(top);
      const goneWhy = isThere ? undefined : checkout === undefined ? 'its worktree is none of the project any more' : await checkouts.gone(checkout);
      known.push({ address, top, isBusy: isThere && runner.isBusy(address), ...(goneWhy === undefined ? {} : { goneWhy }) });
    }
    return known;
  }

  #of(root: string) {
    return this.#parts.store.read.instancesOf(root);
  }

  /** @returns who took the address meanwhile, in words */
  async #add(project: Project, placed: PlacedInstance, definition: ProjectDefinition): Promise<string | undefined> {
    try {
      await this.#put(project, placed, definition);
    } catch (error) {
      const { code, message } = toBrokerError(error);
      if (code !== 'conflict') throw error;
      return message;
    }
    this.#parts.log.info({ agent: placed.address, project: project.root }, 'the instance of a worktree is listed');
    return undefined;
  }

  /** @returns false when it was so already */
  async #put(project: Project, { address, top, isDefault }: PlacedInstance, definition: ProjectDefinition): Promise<boolean> {
    const { store, self, checks, checkouts, chronicler, ulids } = this.#parts;
    const known = store.read.endpoint(address);
    const registered = store.read.ownRegistration(address);
    const { harness, argv, env, permissions, isolate, capabilities, labels, visibility, description } = definition;
    const checkout = known === undefined ? await checkouts.of(top) : known.checkout;
    const endpoint: Endpoint = {
      ...{ agentId: known?.agentId ?? agentIdOf(ulids.next()), address, harness, cwd: top, argv, env, path: project.path, permissions, isolate },
      ...(checkout === undefined ? {} : { checkout }),
    };
    const wanted = { address, nodeId: self.nodeId, harness, capabilities, labels, visibility, description, isDefault };
    if (known !== undefined && registered !== undefined && isAlike(known, endpoint) && isAlike(wanted, registered)) return false;
    const { available, why } = await checks.check(endpoint);
    const registration: Registration = { ...wanted, available, ...(available || why === undefined ? {} : { unavailableWhy: why }) };
    await store.write.putInstance({ stamp: chronicler.stamp(), root: project.root, top, endpoint, registration });
    return true;
  }
}

/** What `a` says, `b` says too. */
function isAlike(a: object, b: object): boolean {
  const other: Readonly<Record<string, unknown>> = { ...b };
  return Object.entries(a).every(([key, value]) => JSON.stringify(sorted(value)) === JSON.stringify(sorted(other[key])));
}

function sorted(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1));
}
