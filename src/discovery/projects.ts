/** The projects of this machine, as its files show them. */
import { readdir, realpath, stat } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { invalid, toBrokerError } from '../domain/errors.ts';
import type { ProjectProbe } from '../domain/ports.ts';
import type { AwayProject, FoundProject, FoundWorktree, ProjectFinder, ProjectsBelow } from '../domain/project-port.ts';
import { manifestName } from '../domain/project.ts';
import { quoted } from '../domain/text.ts';
import { readManifest } from './manifest.ts';
import { searchProjects } from './project-search.ts';
import type { SearchParts } from './project-search.ts';
import { isSystemError, kindOf, repositoryAt, worktreesOf } from './repository.ts';
import type { Repository } from './repository.ts';

export interface ProjectsParts extends SearchParts {
  readonly probe: ProjectProbe;
  /** Where worktrees of isolated flights are: they are no instances. */
  readonly worktreesDirectory: string;
}

/** For all that git is asked of one repository. */
const gitPatienceMs = 4_000;

export function createProjectFinder(parts: ProjectsParts): ProjectFinder {
  return {
    below: (directories, how) => below(parts, directories, how),
    around: (directory) => around(parts, directory),
    look: (root, wasRepository) => look(parts, root, wasRepository),
  };
}

async function below(parts: ProjectsParts, directories: readonly string[], { mayBeMissing }: { readonly mayBeMissing: boolean }): Promise<ProjectsBelow> {
  const starts: string[] = [];
  const roots = new Set<string>();
  const notes: string[] = [];
  for (const given of directories) {
    const start = await directoryAt(given);
    if (start === undefined) {
      if (!mayBeMissing) throw invalid(`there is no directory ${quoted(given, 200)}`);
      notes.push(`there is no directory ${given}`);
      continue;
    }
    const root = mayBeMissing ? undefined : await around(parts, start);
    if (root === undefined) starts.push(start);
    else roots.add(root);
  }
  const found = starts.length === 0 ? { roots: [], notes: [] } : await searchProjects(parts, starts);
  return { roots: [...new Set([...roots, ...found.roots])].toSorted(), notes: [...notes, ...found.notes] };
}

/** The innermost repository, or directory with a manifest. */
async function around({ home }: ProjectsParts, directory: string): Promise<string | undefined> {
  const start = await directoryAt(directory);
  if (start === undefined) throw invalid(`there is no directory ${quoted(directory, 200)}`);
  for (let at = start; ; at = dirname(at)) {
    const repository = await repositoryAt(at);
    if (repository !== undefined) return repository.root;
    // Of a worktree whose repository is away.
    if ((await kindOf(`${at}/.git`)) !== undefined) return undefined;
    if (at !== home && (await kindOf(`${at}/${manifestName}`)) !== undefined) return at;
    if (at === dirname(at)) return undefined;
  }
}

async function look(parts: ProjectsParts, root: string, wasRepository: boolean): Promise<FoundProject | AwayProject> {
  if ((await directoryAt(root)) !== root) return { away: `its directory ${quoted(root, 200)} is not there` };
  const repository = await repositoryAt(root);
  if (repository === undefined) {
    if (wasRepository || (await kindOf(`${root}/.git`)) !== undefined) return { away: `there is no git repository at ${quoted(root, 200)}` };
    return described(parts, root, root, { isRepository: false, worktrees: [{ top: root, isMain: true }], isCut: false, watched: [] });
  }
  // A repository can make git wait (a setting that is included from a pipe): for one of its worktrees, and not for each.
  const untilMs = parts.clock.monotonic() + gitPatienceMs;
  const branch = (top: string): Promise<string | undefined> => (parts.clock.monotonic() < untilMs ? parts.probe.branch(top) : Promise.resolve(undefined));
  const { worktrees, isCut, watched } = await worktreesOf(repository, branch);
  const own = worktrees.filter((each) => !isOfFlight(each, parts.worktreesDirectory));
  return described(parts, root, checkoutOf(own)?.top, { isRepository: true, worktrees: own, isCut, watched, repository });
}

type Listed = Pick<FoundProject, 'isRepository' | 'worktrees' | 'isCut' | 'watched'> & { readonly repository?: Repository };

/** @param checkout whose manifest and files for agents count */
async function described({ marks }: ProjectsParts, root: string, checkout: string | undefined, { repository, ...listed }: Listed): Promise<FoundProject> {
  const manifest = checkout === undefined ? undefined : await readManifest(checkout).catch(toBrokerError);
  const names = checkout === undefined ? [] : await namesIn(checkout);
  return {
    root,
    directoryName: nameOf(root, repository),
    ...listed,
    marks: names.filter((each) => marks.has(each)).toSorted(),
    ...(manifest === undefined ? {} : manifest instanceof Error ? { manifestFlaw: manifest.message } : { manifest }),
  };
}

/** The main one, or that of a repository without one which is on its usual branch. */
function checkoutOf(worktrees: readonly FoundWorktree[]): FoundWorktree | undefined {
  return worktrees.find((each) => each.isMain) ?? worktrees.find((each) => each.branch === 'main' || each.branch === 'master') ?? worktrees[0];
}

function nameOf(root: string, repository: Repository | undefined): string {
  const name = basename(root);
  if (repository === undefined || repository.common !== root) return name;
  return name.startsWith('.') ? basename(dirname(root)) : name.replace(/\.git$/, '');
}

/** Of this node by its directory, of another node of this machine by how those are called. */
function isOfFlight({ top }: FoundWorktree, directory: string): boolean {
  return top.startsWith(`${directory}/`) || /\/worktrees\/[0-7][0-9a-hjkmnp-tv-z]{25}(-\d+)?$/.test(top);
}

async function directoryAt(path: string): Promise<string | undefined> {
  try {
    const actual = await realpath(path);
    return (await stat(actual)).isDirectory() ? actual : undefined;
  } catch (error) {
    if (isSystemError(error)) return undefined;
    throw error;
  }
}

async function namesIn(directory: string): Promise<readonly string[]> {
  try {
    return await readdir(directory);
  } catch (error) {
    if (isSystemError(error)) return [];
    throw error;
  }
}
