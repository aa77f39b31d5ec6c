/** Looking for projects below directories: breadth first, no link followed, bounded in depth, number and time. */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { within } from '../domain/pause.ts';
import type { Clock } from '../domain/ports.ts';
import type { ProjectsBelow } from '../domain/project-port.ts';
import { manifestName } from '../domain/project.ts';
import { isSystemError, kindOf, repositoryAt } from './repository.ts';

export interface SearchBounds {
  /** Below a directory that was named. */
  readonly depth: number;
  readonly directories: number;
  readonly projects: number;
  /** In one directory: more is a store of data, and not a place for projects. */
  readonly entries: number;
  readonly ms: number;
}

export const usualBounds: SearchBounds = { depth: 4, directories: 20_000, projects: 500, entries: 2_000, ms: 10_000 };

/** Nobody's projects: what others built or fetched. */
const skipped = new Set(['node_modules', 'bower_components', 'vendor', 'target', 'dist', 'build', 'venv', 'site-packages', '__pycache__', 'Library']);

export interface SearchParts {
  readonly clock: Clock;
  /** Files and directories that are made for agents. */
  readonly marks: ReadonlySet<string>;
  /** The person's own: what lies there is made for agents of all projects. */
  readonly home: string;
  readonly bounds?: SearchBounds;
}

interface Place {
  readonly path: string;
  readonly depth: number;
}

/** @param starts absolute, links resolved. A start that is no repository and has no manifest is a place of projects, and none itself, unless it alone was asked for. */
export async function searchProjects({ clock, marks, home, bounds = usualBounds }: SearchParts, starts: readonly string[]): Promise<ProjectsBelow> {
  const roots = new Set<string>();
  const notes = new Set<string>();
  let looked = 0;
  let unmarked = 0;
  const untilMs = clock.monotonic() + bounds.ms;

  const visit = async ({ path, depth }: Place): Promise<readonly Place[]> => {
    const entries = await entriesOf(path, notes);
    if (entries === undefined) return [];
    const names = new Set(entries.map((each) => each.name));
    const hasManifest = names.has('.beckon') && (await kindOf(join(path, manifestName))) !== undefined;
    const isMarked = [...marks].some((mark) => names.has(mark));
    const repository = names.has('.git') || (names.has('HEAD') && names.has('objects')) ? await repositoryAt(path) : undefined;
    if (repository !== undefined) {
      if (hasManifest || isMarked || (repository.isBare && repository.root === path) || repository.root !== path) roots.add(repository.root);
      else unmarked += 1;
      return [];
    }
    if (names.has('.git')) {
      notes.add(`${path} is a worktree of a git repository that is not there, or does not know of it`);
      return [];
    }
    if (path !== home && (hasManifest || (isMarked && (depth > 0 || starts.length === 1)))) roots.add(path);
    if (depth === bounds.depth) return [];
    if (entries.length > bounds.entries) {
      notes.add(`${path} was not looked into: it has ${entries.length} entries`);
      return [];
    }
    return entries.filter((each) => each.isDirectory() && !each.name.startsWith('.') && !skipped.has(each.name)).map((each) => ({ path: join(path, each.name), depth: depth + 1 }));
  };

  const search = async (): Promise<void> => {
    const places: Place[] = starts.map((path) => ({ path, depth: 0 }));
    for (let place = places.shift(); place !== undefined; place = places.shift()) {
      const left = whyCut({ looked, found: roots.size, isLate: clock.monotonic() > untilMs }, bounds);
      if (left !== undefined) {
        notes.add(`${left}: what is beyond was not looked at; name the directories that matter`);
        return;
      }
      looked += 1;
      places.push(...(await visit(place)));
    }
  };
  // A disk that does not answer keeps a call waiting for ever.
  const isOver = await within(clock, bounds.ms + 1000, search().then(() => true));
  if (isOver === undefined) notes.add('a directory does not answer: what is beyond was not looked at');
  if (unmarked > 0) notes.add(`${unmarked} ${unmarked === 1 ? 'repository has' : 'repositories have'} neither a manifest nor a file for agents: left out; name one to see it`);
  return { roots: [...roots].toSorted(), notes: [...notes] };
}

function whyCut({ looked, found, isLate }: { readonly looked: number; readonly found: number; readonly isLate: boolean }, bounds: SearchBounds): string | undefined {
  if (found >= bounds.projects) return `${bounds.projects} projects were found`;
  if (looked >= bounds.directories) return `${bounds.directories} directories were looked at`;
  return isLate ? `the search took ${bounds.ms / 1000} s` : undefined;
}

async function entriesOf(path: string, notes: Set<string>) {
  try {
    return await readdir(path, { withFileTypes: true });
  } catch (error) {
    if (!isSystemError(error)) throw error;
    if (error.code !== 'ENOENT') notes.add(`${path} can’t be looked into (${error.code ?? 'unknown'})`);
    return undefined;
  }
}
