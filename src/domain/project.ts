/**
 * Projects found on this machine: what each says of its agent, and what a person approved of it. The manifest of a
 * repository only proposes; words of this machine's person go before it; nothing is in force without a yes.
 */
import type { Permissions } from './invocation.ts';
import type { Visibility } from './registration.ts';

/** In a project's directory. */
export const manifestName = '.beckon/project.json';

/** All of it may be left unsaid. */
export interface ProjectWords {
  readonly name?: string;
  readonly description?: string;
  readonly harness?: string;
  /** Run from the worktree; a program with a slash that is not absolute is one of the worktree. */
  readonly command?: readonly string[];
  readonly permissions?: Permissions;
  readonly isolate?: boolean;
  readonly capabilities?: readonly string[];
  readonly labels?: Readonly<Record<string, string>>;
  /** NAME passes the node's own value on; NAME=VALUE gives one. */
  readonly env?: readonly string[];
  readonly visibility?: Visibility;
  /** The workspace, as git calls the branch, that an address without one means. */
  readonly defaultWorkspace?: string;
}

/** What the person of this machine says of a project. */
export interface ProjectOverride extends ProjectWords {
  readonly ignore?: boolean;
}

/** From the config file, paths absolute. */
export interface ProjectsConfig {
  readonly roots: readonly string[];
  readonly overrides: ReadonlyMap<string, ProjectOverride>;
}

/** The agent of a project, with nothing left open. Each of its git worktrees is an instance of it. */
export interface ProjectDefinition {
  readonly name: string;
  readonly description: string;
  readonly harness: string;
  readonly argv: readonly string[];
  readonly env: readonly string[];
  readonly permissions: Permissions;
  readonly isolate: boolean;
  readonly capabilities: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
  readonly visibility: Visibility;
  readonly defaultWorkspace?: string;
}

/** As a person approved it. */
export interface Project {
  /** Absolute, links resolved. */
  readonly root: string;
  readonly definition: ProjectDefinition;
  /** What was said of it then, by the manifest and by the config file. */
  readonly words: ProjectWords;
  /** Of `words`. */
  readonly wordsHash: string;
  readonly isRepository: boolean;
  /** PATH of the shell in which it was approved. */
  readonly path: string;
  /** Tops of worktrees whose instance a person removed: they get none until the project is approved again. */
  readonly leftOut: readonly string[];
  readonly approvedAtMs: number;
  readonly approvedBy: string;
}

/** An agent that the node keeps for a worktree of a project. */
export interface ProjectInstance {
  readonly address: string;
  readonly root: string;
  /** Of the worktree. */
  readonly top: string;
}

/** `override` goes before `manifest`, word by word; harness and command are one word, since each means the other. */
export function wordsOf(manifest: ProjectWords | undefined, override: ProjectOverride | undefined): ProjectWords {
  const { ignore: _ignore, ...said } = override ?? {};
  if (manifest === undefined) return said;
  if (said.harness === undefined && said.command === undefined) return { ...manifest, ...said };
  const { harness: _harness, command: _command, ...rest } = manifest;
  return { ...rest, ...said };
}

/** @param chosen of the harness, where the words name neither it nor a command */
export function definitionOf(words: ProjectWords, usualName: string, chosen: string): ProjectDefinition {
  const { defaultWorkspace } = words;
  return {
    name: words.name ?? usualName,
    description: words.description ?? '',
    harness: words.harness ?? (words.command === undefined ? chosen : 'command'),
    argv: words.command ?? [],
    env: words.env ?? [],
    permissions: words.permissions ?? 'ask',
    isolate: words.isolate ?? false,
    capabilities: words.capabilities ?? [],
    labels: words.labels ?? {},
    visibility: words.visibility ?? 'mesh',
    ...(defaultWorkspace === undefined ? {} : { defaultWorkspace }),
  };
}

/** The same text for the same words, in whatever order they were written. */
export function canonicalWords(words: ProjectWords | ProjectDefinition): string {
  return JSON.stringify(sorted(words));
}

/** Names of the words that differ. */
export function differingWords(a: ProjectWords, b: ProjectWords): readonly string[] {
  const names = new Set([...Object.keys(a), ...Object.keys(b)]) as Set<keyof ProjectWords>;
  return [...names].filter((name) => JSON.stringify(sorted(a[name])) !== JSON.stringify(sorted(b[name]))).toSorted();
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  return Object.entries(value)
    .filter(([, each]) => each !== undefined)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, each]) => [key, sorted(each)]);
}
