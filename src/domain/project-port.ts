/** What the core needs to know of the projects on this machine's disks, and to hear when their worktrees change. */
import type { ProjectWords } from './project.ts';

export interface FoundWorktree {
  /** Absolute, links resolved. */
  readonly top: string;
  /** Undefined: detached, or no git. While a rebase or bisect goes on, the branch that it is about. */
  readonly branch?: string;
  /** Of the repository itself, or the directory of a project without git. */
  readonly isMain: boolean;
}

export interface FoundProject {
  readonly root: string;
  /** What it is called unless somebody says otherwise: its directory. */
  readonly directoryName: string;
  readonly isRepository: boolean;
  /** The main one first. */
  readonly worktrees: readonly FoundWorktree[];
  /** More worktrees than are looked at. */
  readonly isCut: boolean;
  /** What lies in its directory and is made for agents: AGENTS.md, .claude. */
  readonly marks: readonly string[];
  readonly manifest?: ProjectWords;
  /** Why the manifest counts for nothing: its path, and what is wrong. */
  readonly manifestFlaw?: string;
  /** Where a change of its worktrees shows. */
  readonly watched: readonly WatchedDirectory[];
}

export interface WatchedDirectory {
  readonly path: string;
  /** Only changes of these names in it matter; without: any. */
  readonly names?: readonly string[];
}

/** It may come back: a disk that is not mounted. */
export interface AwayProject {
  readonly away: string;
}

export interface ProjectsBelow {
  readonly roots: readonly string[];
  /** What was not looked at, and why, a sentence each. */
  readonly notes: readonly string[];
}

export interface ProjectFinder {
  /**
   * The roots of projects at these directories and below them, to a bounded depth, time and count, following no link.
   * @throws BrokerError `invalid` for one that a caller named and that is not there
   */
  below(directories: readonly string[], how: { readonly mayBeMissing: boolean }): Promise<ProjectsBelow>;
  /** The root of the project that a directory is in. @throws BrokerError `invalid` */
  around(directory: string): Promise<string | undefined>;
  /** Never rejects for what it finds. @param isRepository it was one */
  look(root: string, isRepository: boolean): Promise<FoundProject | AwayProject>;
}

export interface ProjectWatch {
  /** Calls `changed` soon after something happens in one of the directories. Replaces what was watched for that root; bounded. */
  keep(root: string, directories: readonly WatchedDirectory[], changed: () => void): void;
  drop(root: string): void;
  stop(): void;
}

export interface ProjectPorts {
  readonly finder: ProjectFinder;
  readonly watch: ProjectWatch;
}

export function isAway(found: FoundProject | AwayProject): found is AwayProject {
  return 'away' in found;
}
