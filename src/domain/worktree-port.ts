/** What the core asks of git: worktrees for isolated flights, and whether the worktree that an agent was added in is still there. */
import type { Availability } from './harness-port.ts';
import type { Endpoint } from './invocation.ts';
import type { Checkout, DiffSummary, WorktreePlace, WorktreeStart } from './worktree.ts';

export type LocatedWorktree = WorktreeStart & WorktreePlace;

/** A diff taken at one moment, kept aside until it is closed. */
export interface Snapshot {
  readonly summary: DiffSummary;
  /** Of the patch; shorter at its end. */
  read(offset: number, length: number): Promise<Uint8Array>;
  /** Idempotent. */
  close(): Promise<void>;
}

/** Whether a branch goes with its worktree: in any case; when all of its commits are in the worktree's HEAD, whose files were seen; when it has no commits. */
export type BranchFate = 'goes' | 'goes when seen' | 'goes when empty';

/** What became of a directory that no kept worktree accounts for. */
export interface SweptWorktree {
  readonly name: string;
  /** Why it was left as it is; absent when it was removed. */
  readonly keptWhy?: string;
}

/**
 * Worktrees below one directory of the node. Whatever git refuses is a BrokerError with git's own words; each call is
 * bounded in time and in what it takes in.
 */
export interface Worktrees {
  /** Whether a flight of this agent could get one now. Cheap, changes nothing. */
  check(endpoint: Endpoint): Promise<Availability>;
  /**
   * A new worktree at the HEAD of the repository that holds the agent's directory, on a branch of its own. Hooks of the
   * repository run as with `git worktree add`. On failure nothing is left.
   * @param name unique, of its directory and in its branch @param aborted ends it early
   * @throws BrokerError `unavailable`, `deadline`, `cancelled`; `conflict` when a directory of that name holds work
   */
  make(endpoint: Endpoint, name: string, aborted: AbortSignal): Promise<LocatedWorktree>;
  /** A record of it is durable: from now on that says what it is. */
  confirm(place: WorktreePlace): Promise<void>;
  /** Absolute: its top. */
  pathOf(place: WorktreePlace): string;
  /** Absolute: where its agent works. */
  directoryOf(place: WorktreePlace): string;
  isThere(place: WorktreePlace): Promise<boolean>;
  /** Neither a commit nor a file, ignored ones included, has come since it was made. */
  isUnchanged(worktree: LocatedWorktree): Promise<boolean>;
  /** Everything in it against the commit that it began at. Changes nothing in it or in its repository. */
  snapshot(worktree: LocatedWorktree): Promise<Snapshot>;
  /** Removes it and, as told, its branch. Idempotent. @returns the last commit of the branch that was removed */
  remove(worktree: LocatedWorktree, branch: BranchFate): Promise<{ readonly tip?: string }>;
  /**
   * At start: finishes what a node that died had begun. A directory that no record speaks of and that an agent may have
   * worked in is left.
   * @param recordOf by name; `remove` when it was settled: what is left of it goes
   */
  sweep(recordOf: (name: string) => { readonly worktree: LocatedWorktree; readonly remove: boolean } | undefined): Promise<readonly SweptWorktree[]>;
}

export interface Checkouts {
  /** Undefined for a directory in no linked worktree. */
  of(directory: string): Promise<Checkout | undefined>;
  /**
   * Why the worktree will not come back, or undefined. It is gone when its directory does not exist, its repository does,
   * and git either knows it no longer, knows it elsewhere, or has it unlocked while the file system that held it is mounted.
   */
  gone(checkout: Checkout): Promise<string | undefined>;
}
