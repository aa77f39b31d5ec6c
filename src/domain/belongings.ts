/** What a node has on its machine, for `beckon uninstall`. */

export interface Belonging {
  /** In a word or two. */
  readonly what: string;
  readonly path: string;
  readonly bytes: number;
}

export interface Belongings {
  readonly found: readonly Belonging[];
  /** Beside them, and nobody knows whose: never removed. */
  readonly left: readonly string[];
  /** Directories with the work of isolated flights that nobody fetched or discarded. */
  readonly worktrees: readonly string[];
  /** The mesh that it is a member of. */
  readonly mesh?: string;
}
