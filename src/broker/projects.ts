/**
 * Projects of this machine. What a person approved is kept by the node: each git worktree of the project is an instance,
 * from soon after it came until it goes. Nothing that a repository says later is in force before another yes.
 */
import type { Act } from '../domain/audit.ts';
import type { Check } from '../domain/checks.ts';
import { conflict, notFound, toBrokerError } from '../domain/errors.ts';
import { within } from '../domain/pause.ts';
import type { CancelTimer, Clock, Log, ProjectProbe, Startable } from '../domain/ports.ts';
import { projectsCheck } from '../domain/project-checks.ts';
import type { ProjectStanding } from '../domain/project-checks.ts';
import { isAway } from '../domain/project-port.ts';
import type { ProjectPorts } from '../domain/project-port.ts';
import { differingWords, wordsOf } from '../domain/project.ts';
import type { Project, ProjectsConfig } from '../domain/project.ts';
import type { Chronicler } from './chronicler.ts';
import { Judgement } from './project-judgement.ts';
import type { Judged, JudgementParts } from './project-judgement.ts';
import { ProjectInstances } from './project-instances.ts';
import type { InstanceChanges, InstancesParts } from './project-instances.ts';
import type { ApproveInput, ApproveResult, ProjectsApi, ScanResult } from './projects-api.ts';

/** Until it is seen again whether a busy instance may move. */
const busyMs = 1_000;
/** What a start waits for the first look at all projects. */
const firstLookMs = 2_000;

const unchanged: InstanceChanges = { added: [], removed: [] };

export interface ProjectsParts extends Omit<JudgementParts, 'finder' | 'isBusy'>, Omit<InstancesParts, 'judgement'> {
  readonly ports: ProjectPorts;
  /** Read anew: what its person wrote since the node started counts. @throws BrokerError `invalid` */
  readonly config: () => Promise<ProjectsConfig>;
  /** Calls `listener` when a node that runs is told to read it again. */
  readonly onConfigChanged?: (listener: () => void) => void;
  readonly probe: ProjectProbe;
  readonly chronicler: Chronicler;
  readonly clock: Clock;
  readonly log: Log;
}

export class Projects implements Startable, ProjectsApi {
  readonly #parts: ProjectsParts;
  readonly #judgement: Judgement;
  readonly #instances: ProjectInstances;
  readonly #standing = new Map<string, ProjectStanding>();
  readonly #again = new Map<string, CancelTimer>();
  #config: ProjectsConfig = { roots: [], overrides: new Map() };
  #isRunning = false;
  /** One change after the other. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(parts: ProjectsParts) {
    this.#parts = parts;
    this.#judgement = new Judgement({ ...parts, finder: parts.ports.finder, isBusy: (address) => parts.runner.isBusy(address) });
    this.#instances = new ProjectInstances({ ...parts, judgement: this.#judgement });
    parts.onConfigChanged?.(() => void this.#lookByNewConfig());
  }

  /** What went while the node was down is unlisted before anybody asks for it; but a disk that does not answer keeps no node from starting. */
  async start(): Promise<void> {
    if (this.#isRunning) return;
    this.#isRunning = true;
    await this.#tryConfig();
    await within(this.#parts.clock, firstLookMs, this.lookAgain());
  }

  async stop(): Promise<void> {
    this.#isRunning = false;
    this.#parts.ports.watch.stop();
    for (const cancel of this.#again.values()) cancel();
    this.#again.clear();
    await this.#turn;
  }

  /** Now and then, since not every change is heard of. Never rejects. */
  async lookAgain(): Promise<void> {
    for (const { root } of this.#parts.store.read.projects()) await this.#soon(root);
  }

  readonly scanProjects: ProjectsApi['scanProjects'] = ({ directories, cwd, path }) => this.#next(() => this.#scan(directories, cwd, path));
  readonly approveProjects = (input: ApproveInput, act?: Act): Promise<ApproveResult> => this.#next(() => this.#approve(input, act));
  readonly forgetProject = (root: string, act?: Act): ReturnType<ProjectsApi['forgetProject']> => this.#next(() => this.#forget(root, act));

  /** What the person should know of an agent of this node. */
  noteOf(address: string): string | undefined {
    const instance = this.#parts.store.read.projectInstance(address);
    const standing = instance === undefined ? undefined : this.#standing.get(instance.root);
    if (standing?.changed !== undefined) return `its project has changed since it was approved (${standing.changed}): not in force until you say yes to beckon agent scan`;
    const later = standing?.later?.find((each) => each.address === address);
    if (later !== undefined) return `its worktree is on another branch by now: nothing more is started there, and when what runs has ended it becomes ${later.to}, unless it is back by then`;
    return standing?.away;
  }

  /** Its worktree is on another branch while something runs there: nothing of what waits for this one is started on that. */
  hasLeft(address: string): boolean {
    const root = this.#parts.store.read.projectInstance(address)?.root;
    return root !== undefined && (this.#standing.get(root)?.later ?? []).some((each) => each.address === address);
  }

  async checks(): Promise<readonly Check[]> {
    const missing: string[] = [];
    for (const root of this.#config.roots) await this.#parts.probe.directory(root).catch(() => missing.push(root));
    const approved = this.#parts.store.read.projects().length;
    return approved + this.#config.roots.length === 0 ? [] : [projectsCheck(approved, [...this.#standing.values()], missing)];
  }

  async #scan(directories: readonly string[], cwd: string, path: string): Promise<ScanResult> {
    const { ports, store } = this.#parts;
    const { roots } = await this.#readConfig();
    const approved = store.read.projects().map(({ root }) => root);
    const here = directories.length > 0 || roots.length > 0 ? undefined : await ports.finder.around(cwd);
    const named = directories.length > 0 ? directories : roots.length > 0 ? roots : [here ?? cwd];
    const found = await ports.finder.below(named, { mayBeMissing: directories.length === 0 && roots.length > 0 });
    const all = directories.length > 0 || here !== undefined ? found.roots : [...new Set([...found.roots, ...approved])];
    const claims = new Map(store.read.projects().map(({ definition, root }) => [definition.name, root]));
    const projects = [];
    // What is approved has its name before anything new.
    for (const root of all.toSorted((a, b) => Number(approved.includes(b)) - Number(approved.includes(a)) || (a < b ? -1 : 1))) {
      if (approved.includes(root)) {
        await this.#look(root);
        await this.#instances.lookAt(root);
      }
      const { shown } = await this.#judgement.judge(root, this.#config, path, claims);
      if (!claims.has(shown.name) && shown.state === 'new') claims.set(shown.name, root);
      projects.push(shown);
    }
    return { projects: projects.toSorted((a, b) => (a.root < b.root ? -1 : 1)), notes: found.notes };
  }

  async #approve({ approvals, path, by }: ApproveInput, act?: Act): Promise<ApproveResult> {
    const { store, chronicler } = this.#parts;
    await this.#readConfig();
    const [added, removed]: [string[], string[]] = [[], []];
    for (const { root, fingerprint } of approvals) {
      const claims = new Map(store.read.projects().map(({ definition, root: other }) => [definition.name, other]));
      const judged = await this.#judgement.judge(root, this.#config, path, claims);
      const project = approvable(judged, fingerprint);
      await store.write.saveProject({ stamp: chronicler.stamp(), act, project: { ...project, path, approvedBy: by } });
      const changes = await this.#look(root);
      added.push(...changes.added);
      removed.push(...changes.removed);
    }
    return { added: added.filter((each) => !removed.includes(each)), removed: removed.filter((each) => !added.includes(each)) };
  }

  async #forget(given: string, act?: Act): Promise<Awaited<ReturnType<ProjectsApi['forgetProject']>>> {
    const { store, ports } = this.#parts;
    // One that is away is known by its root alone.
    const around = store.read.project(given) === undefined ? await ports.finder.around(given).catch(toBrokerError) : given;
    const root = typeof around === 'string' ? around : given;
    if (store.read.project(root) === undefined) {
      const known = store.read.projects().map((each) => each.root);
      throw notFound(`no project ${root} is approved here`, known.length === 0 ? 'see what is: beckon agent scan' : `approved are: ${known.join(', ')}`);
    }
    ports.watch.drop(root);
    this.#standing.delete(root);
    return { root, ...(await this.#instances.forget(root, act)) };
  }

  /** Brings its instances up to date with its worktrees. */
  async #look(root: string): Promise<InstanceChanges> {
    const { store, ports } = this.#parts;
    const project = store.read.project(root);
    if (project === undefined) {
      ports.watch.drop(root);
      this.#standing.delete(root);
      return unchanged;
    }
    const override = this.#config.overrides.get(root);
    if (override?.ignore === true) {
      ports.watch.drop(root);
      this.#standing.set(root, { root });
      return this.#instances.removeAll(root, 'its project is ignored, by the config file of its node');
    }
    const found = await ports.finder.look(root, project.isRepository);
    if (isAway(found)) {
      const isNews = this.#standing.get(root)?.away === undefined;
      this.#standing.set(root, { root, away: found.away });
      if (isNews) await this.#instances.lookAt(root);
      return unchanged;
    }
    const changed = this.#changed(project, found.manifestFlaw, wordsOf(found.manifest, override));
    const { later, refused, ...changes } = await this.#instances.bring(project, found);
    if (this.#standing.get(root)?.away !== undefined) await this.#instances.lookAt(root);
    const before = this.#standing.get(root)?.later ?? [];
    this.#standing.set(root, { root, refused, later, ...(changed === undefined ? {} : { changed }) });
    for (const { address } of before) if (!this.hasLeft(address)) this.#parts.runner.wake(address);
    if (this.#isRunning) {
      ports.watch.keep(root, found.watched, () => void this.#soon(root));
      if (later.length > 0) this.#lookLater(root);
    }
    return changes;
  }

  #changed(project: Project, flaw: string | undefined, words: Project['words']): string | undefined {
    if (flaw !== undefined) return flaw;
    return this.#judgement.hashOf(words) === project.wordsHash ? undefined : differingWords(project.words, words).join(', ');
  }

  #lookLater(root: string): void {
    if (this.#again.has(root)) return;
    const cancel = this.#parts.clock.setTimer(busyMs, () => {
      this.#again.delete(root);
      void this.#soon(root);
    });
    this.#again.set(root, cancel);
  }

  async #soon(root: string): Promise<void> {
    await this.#next(async () => {
      if (this.#isRunning) await this.#look(root);
    }).catch((error: unknown) => this.#parts.log.warn({ project: root, err: error }, 'a project could not be looked at; it is tried again'));
  }

  #next<Result>(work: () => Promise<Result>): Promise<Result> {
    const done = this.#turn.then(work);
    this.#turn = done.catch(toBrokerError);
    return done;
  }

  async #lookByNewConfig(): Promise<void> {
    if (!this.#isRunning) return;
    await this.#next(() => this.#tryConfig());
    await this.lookAgain();
  }

  async #tryConfig(): Promise<void> {
    await this.#readConfig().catch((error: unknown) => this.#parts.log.warn({ err: error }, 'what the config file says of projects can’t be read'));
  }

  async #readConfig(): Promise<ProjectsConfig> {
    this.#config = await this.#parts.config();
    return this.#config;
  }
}

function approvable({ project, refusal, shown }: Judged, fingerprint: string): NonNullable<Judged['project']> {
  if (refusal !== undefined) throw refusal;
  if (project === undefined || shown.fingerprint !== fingerprint) throw conflict(`${shown.root} has changed since it was shown`, 'look again: beckon agent scan');
  return project;
}
