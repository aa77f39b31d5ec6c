/** The git worktrees that flights of isolated agents run in, one a flight, or one a session for harnesses that keep sessions. */
import type { InvocationId } from './ids.ts';

export const worktreeStates = ['kept', 'fetched', 'discarded', 'unchanged', 'gone'] as const;
/**
 * `kept`: it is there. `fetched` and `discarded`: removed, because somebody said so. `unchanged`: removed at the end of
 * its flight, since nothing in it had changed. `gone`: it is not there, and Beckon did not remove it.
 */
export type WorktreeState = (typeof worktreeStates)[number];

/** What a person makes of a worktree. */
export const worktreeVerbs = ['fetched', 'discarded'] as const;
export type WorktreeVerb = (typeof worktreeVerbs)[number];

/** What is known of a worktree from its start on, at the owner and at the origin. */
export interface WorktreeStart {
  /** The commit that it began at. */
  readonly head: string;
  /** Made for it at `head`. */
  readonly branch: string;
  /** Files of the project that were changed or untracked when it was made. Those changes are not in it. */
  readonly dirty: number;
}

/** Where it is, known at the owner alone. */
export interface WorktreePlace {
  /** Its name below the node's directory of worktrees. */
  readonly name: string;
  /** What of it corresponds to the agent's own directory: empty, or ending in a slash. */
  readonly prefix: string;
  /** What git keeps of it inside the repository, absolute: its own index, HEAD and log. */
  readonly gitDir: string;
  /** PATH of the agent that it was made for: git, and what git runs, is looked for there. */
  readonly searchPath: string;
}

export interface Worktree extends WorktreeStart {
  /** At the owner: the invocation that it was made for, which later turns of its session share it with. */
  readonly madeFor: InvocationId;
  readonly state: WorktreeState;
  /** At the owner. */
  readonly place?: WorktreePlace;
}

/** As it is shown. */
export interface Isolation extends WorktreeStart {
  readonly state: WorktreeState;
  /** On its own node. */
  readonly path?: string;
}

/** As the owner has it. */
export type PlacedWorktree = Omit<Worktree, 'state'> & { readonly place: WorktreePlace };

/** A linked git worktree (`git worktree add`) that a person made and in which an agent was added. */
export interface Checkout {
  /** Its top directory. */
  readonly top: string;
  /** What git keeps of it: `REPOSITORY/worktrees/NAME`. */
  readonly entry: string;
  /** The git directory of its repository. */
  readonly repository: string;
  /** The number of the file system that held `top`. */
  readonly device: number;
}

/** One file of a diff. Counts are of lines, and absent for a binary file. */
export interface DiffFile {
  readonly path: string;
  readonly added?: number;
  readonly removed?: number;
}

/** All of a diff but the patch itself. */
export interface DiffSummary {
  readonly head: string;
  readonly dirty: number;
  /** Git's name for the state that was compared: the same one means that nothing has changed since. */
  readonly tree: string;
  /** Of the patch as it is handed out. */
  readonly patchBytes: number;
  /** The patch was longer than `mostPatchBytes` and is cut there: it can't be applied. */
  readonly truncated: boolean;
  /** The first `mostDiffFiles` of them. */
  readonly files: readonly DiffFile[];
  readonly fileCount: number;
  /** Repositories inside the worktree whose own content the patch does not hold. */
  readonly nested: readonly string[];
}

export const mostPatchBytes = 64 * 1024 * 1024;
export const mostDiffFiles = 2000;
/** Longer paths are named by their end. */
export const longestDiffPath = 1024;
export const mostNested = 100;
