/** What a project found on this machine would be, and whether it can be approved: asked when a person looks, and again when they say yes. */
import { canonicalWords, definitionOf, differingWords, manifestName, wordsOf } from '../domain/project.ts';
import type { Project, ProjectDefinition, ProjectInstance, ProjectOverride, ProjectsConfig, ProjectWords } from '../domain/project.ts';
import { BrokerError, conflict, invalid, toBrokerError } from '../domain/errors.ts';
import type { Harness } from '../domain/harness-port.ts';
import { agentIdOf } from '../domain/ids.ts';
import type { Endpoint } from '../domain/invocation.ts';
import { nameFrom } from '../domain/name.ts';
import type { Digest, UlidSource } from '../domain/ports.ts';
import { reconcile } from '../domain/project-instances.ts';
import type { KeptInstance, Reconciled } from '../domain/project-instances.ts';
import { isAway } from '../domain/project-port.ts';
import type { FoundProject, ProjectFinder } from '../domain/project-port.ts';
import { quoted } from '../domain/text.ts';
import { checkDescribed } from '../domain/registration.ts';
import type { Store } from '../domain/store-port.ts';
import type { AgentChecks } from './agent-checks.ts';
import { markedHarness, namedHarness } from './harness-choice.ts';
import type { ProjectState, ScannedInstance, ScannedProject } from './projects-api.ts';
import type { Self } from './self.ts';

export interface JudgementParts {
  readonly store: Store;
  readonly self: Self;
  readonly harnesses: ReadonlyMap<string, Harness>;
  readonly checks: AgentChecks;
  readonly finder: ProjectFinder;
  readonly digest: Digest;
  /** Something runs for the agent, or waits to. */
  readonly isBusy: (address: string) => boolean;
  readonly ulids: UlidSource;
}

export interface Judged {
  readonly shown: ScannedProject;
  /** What a yes puts in force; undefined when it can't be said. */
  readonly project?: Omit<Project, 'leftOut' | 'approvedAtMs' | 'approvedBy' | 'path'>;
  /** Why it can't be approved. */
  readonly refusal?: BrokerError;
}

export class Judgement {
  readonly #parts: JudgementParts;

  constructor(parts: JudgementParts) {
    this.#parts = parts;
  }

  /** @param claims roots by the name of their agent: of what is approved, and of what stands before it */
  async judge(root: string, { overrides }: ProjectsConfig, path: string, claims: ReadonlyMap<string, string>): Promise<Judged> {
    const { store, finder } = this.#parts;
    const approved = store.read.project(root);
    const found = await finder.look(root, approved?.isRepository ?? false);
    const override = overrides.get(root);
    if (isAway(found)) {
      const definition = approved?.definition ?? definitionOf(override ?? {}, '', '');
      const instances = store.read.instancesOf(root).map((each) => this.#registered(each));
      return this.#refused(root, approved === undefined ? 'refused' : 'approved', definition, invalid(found.away), { instances, why: whyOf(undefined, override) });
    }
    const why = whyOf(found, override);
    const words = wordsOf(found.manifest, override);
    const usualName = nameFrom(found.directoryName) ?? 'project';
    if (override?.ignore === true) return this.#refused(root, 'ignored', definitionOf(words, usualName, ''), conflict('the config file says to ignore it'), { why, instances: [] });
    const wordsHash = this.hashOf(words);
    const isSame = approved !== undefined && approved.wordsHash === wordsHash && found.manifestFlaw === undefined;
    const state = approved === undefined ? 'new' : isSame ? 'approved' : 'changed';
    const definition = isSame ? approved.definition : await this.#definition(found, words, usualName, path).catch(toBrokerError);
    if (definition instanceof BrokerError) {
      // No yes is asked for where none can be given; a yes to what it said before stays.
      const instances = approved === undefined ? [] : this.#instancesOf(this.planOf(found, approved.definition, approved), approved);
      return this.#refused(root, 'refused', approved?.definition ?? definitionOf(words, usualName, ''), definition, { why, instances }, approved);
    }
    const plan = this.planOf(found, definition, approved);
    const shown = { why, instances: this.#instancesOf(plan, { root, definition }) };
    const refusal = isSame ? undefined : this.#clash(root, definition, plan, claims);
    if (refusal !== undefined) return this.#refused(root, 'refused', definition, refusal, shown, approved);
    const problem = state === 'changed' ? `${changesOf(approved, words)}; not in force until it is approved` : state === 'new' ? await this.#notYet(found, definition, path) : undefined;
    const project = { root, definition, words, wordsHash, isRepository: found.isRepository };
    return { shown: this.#shown(root, state, definition, problem, shown), project };
  }

  hashOf(words: ProjectWords): string {
    return this.#parts.digest(['beckon project words', canonicalWords(words)]);
  }

  /** Which instances it has, and is to have. `goneWhy` and `isBusy` come from who knows them. */
  planOf(found: FoundProject, definition: ProjectDefinition, approved: Project | undefined, known?: readonly KeptInstance[]): Reconciled {
    const { store, self } = this.#parts;
    const { name, defaultWorkspace } = definition;
    const instances = known ?? store.read.instancesOf(found.root).map(({ address, top }) => ({ address, top, isBusy: this.#parts.isBusy(address) }));
    return reconcile({
      ...{ name, node: self.name(), worktrees: found.worktrees, leftOut: approved?.leftOut ?? [], instances, takenBy: this.#takenBy(found.root) },
      ...(defaultWorkspace === undefined ? {} : { defaultWorkspace }),
    });
  }

  /** @throws BrokerError `invalid` when nothing, or nothing that is here, says how it is run */
  async #definition(found: FoundProject, words: ProjectWords, usualName: string, path: string): Promise<ProjectDefinition> {
    const { harnesses } = this.#parts;
    if (found.manifestFlaw !== undefined) throw invalid(found.manifestFlaw);
    checkDescribed(definitionOf(words, usualName, ''));
    const { harness, command } = words;
    if (harness === undefined && command === undefined) {
      if (found.marks.length === 0) throw invalid(`nothing says which agent it is for: it has no ${manifestName}, no AGENTS.md, CLAUDE.md or the like`, 'write one, or say it in the config file');
      const fitting = await markedHarness(harnesses, this.#endpointOf(found, definitionOf(words, usualName, ''), path));
      return definitionOf(words, usualName, fitting.name);
    }
    const definition = definitionOf(words, usualName, '');
    if (definition.harness === 'attached') throw invalid('an attached agent registers itself: its process says where it is', 'leave harness out, or take another');
    const brings = definition.harness !== 'command' && definition.harness !== 'acp';
    if (brings && definition.argv.length > 0) throw invalid(`the harness ${definition.harness} brings its own command`, 'leave out harness, or command');
    const named = namedHarness(harnesses, definition.harness, definition);
    const { available, why } = await named.check(this.#endpointOf(found, definition, path));
    if (brings && !available) throw invalid(`${definition.harness} can’t be had here: ${why ?? 'it is not available'}`, 'see to it, then look again: beckon agent scan');
    return definition;
  }

  /** For what has a command: it may come, as with `agent add`. */
  async #notYet(found: FoundProject, definition: ProjectDefinition, path: string): Promise<string | undefined> {
    const { available, why } = await this.#parts.checks.check(this.#endpointOf(found, definition, path));
    return available ? undefined : `it can’t be called yet: ${why ?? 'it is not available'}`;
  }

  #endpointOf(found: FoundProject, { harness, argv, env, permissions, isolate }: ProjectDefinition, path: string): Endpoint {
    const cwd = found.worktrees[0]?.top ?? found.root;
    return { agentId: agentIdOf(this.#parts.ulids.next()), address: '', harness, cwd, argv, env, path, permissions, isolate };
  }

  #clash(root: string, { name }: ProjectDefinition, plan: Reconciled, claims: ReadonlyMap<string, string>): BrokerError | undefined {
    const other = claims.get(name);
    if (other !== undefined && other !== root) {
      return conflict(`the project ${quoted(other, 200)} is called ${name} too`, `call one otherwise, in its manifest or in the config file: [projects.${JSON.stringify(root)}] name = "${name}-2"`);
    }
    const taken = plan.refused.find(({ address }) => address !== undefined && this.#takenBy(root)(address) !== undefined);
    return taken === undefined ? undefined : conflict(taken.why, 'remove that agent, or call the project otherwise');
  }

  /** Who has an address: an agent of this node that is not this project's. */
  #takenBy(root: string): (address: string) => string | undefined {
    const { read } = this.#parts.store;
    return (address) => {
      const owner = read.projectInstance(address)?.root;
      if (owner === root || read.ownRegistration(address) === undefined) return undefined;
      return owner === undefined ? 'it was added by hand, with beckon agent add' : `it is an instance of ${quoted(owner, 200)}`;
    };
  }

  /** @param approved what stays in force */
  #refused(root: string, state: ProjectState, definition: ProjectDefinition, refusal: BrokerError, shown: Pick<ScannedProject, 'why' | 'instances'>, approved?: Project): Judged {
    const problem = `${wordsOfError(refusal)}${approved === undefined ? '' : '; what was approved stays in force'}`;
    return { shown: this.#shown(root, state, definition, state === 'ignored' ? undefined : problem, shown), refusal };
  }

  /** All worktrees, and instances of worktrees that are not there now. */
  #instancesOf({ keep, add, remove, refused, leftOut }: Reconciled, { root, definition }: Pick<Project, 'root' | 'definition'>): readonly ScannedInstance[] {
    const known = this.#parts.store.read.instancesOf(root);
    const registered = new Set(known.map(({ address }) => address));
    const placed = [...keep, ...add].map((each) => (registered.has(each.address) ? this.#registered(each) : { address: each.address, cwd: each.top, registered: false }));
    const shown = new Set([...placed, ...remove].map(({ address }) => address));
    const away = known.filter(({ address }) => !shown.has(address)).map(({ address, top }) => ({ address, cwd: top, registered: true, problem: 'its worktree is not there now' }));
    const not = [...refused, ...leftOut.map((each) => ({ ...each, why: `it was removed by hand; to have it again: beckon agent scan --yes --only ${definition.name}` }))];
    return [...placed, ...away, ...not.map(({ address = '', top, why }) => ({ address, cwd: top, registered: false, problem: why }))];
  }

  #registered({ address, top }: Pick<ProjectInstance, 'address' | 'top'>): ScannedInstance {
    const { available = true, unavailableWhy = 'it is not available' } = this.#parts.store.read.ownRegistration(address) ?? {};
    return { address, cwd: top, registered: true, ...(available ? {} : { problem: unavailableWhy }) };
  }

  #shown(root: string, state: ProjectState, definition: ProjectDefinition, problem: string | undefined, rest: Pick<ScannedProject, 'why' | 'instances'>): ScannedProject {
    const { name, harness, argv, permissions, isolate, env, visibility, description, capabilities, labels, defaultWorkspace } = definition;
    const isPrivate = rest.why.includes(byConfig);
    return {
      ...{ root, name, harness, permissions, isolate, visibility, description, capabilities, labels, state, ...rest, command: argv },
      // In a repository all can read it; in the config file it may be a secret.
      env: env.map((each) => (isPrivate && each.includes('=') ? `${each.slice(0, each.indexOf('='))}=…` : each)),
      ...(defaultWorkspace === undefined ? {} : { defaultWorkspace }),
      ...(problem === undefined ? {} : { problem }),
      fingerprint: this.#parts.digest(['beckon project', root, canonicalWords(definition)]),
    };
  }
}

const byConfig = 'the config file';

function whyOf(found: FoundProject | undefined, override: ProjectOverride | undefined): readonly string[] {
  const said = override === undefined ? [] : [byConfig];
  if (found === undefined) return said;
  const byManifest = found.manifest !== undefined || found.manifestFlaw !== undefined;
  return [...(byManifest ? [manifestName] : []), ...found.marks, ...said];
}

function changesOf(approved: Project | undefined, words: ProjectWords): string {
  const names = differingWords(approved?.words ?? {}, words);
  return names.length === 0 ? 'it was changed' : `changed since it was approved: ${names.join(', ')}`;
}

function wordsOfError({ message, hint }: BrokerError): string {
  return hint === undefined ? message : `${message}; ${hint}`;
}
