/** Projects of this machine, as its person looks at them and approves them. */
import type { Permissions } from '../domain/invocation.ts';

/**
 * `new`: not approved. `changed`: approved, and its words are others by now, which are not in force. `refused`: it can't be approved as
 * it is, `problem` says why. `ignored`: by the config file.
 */
export type ProjectState = 'new' | 'approved' | 'changed' | 'refused' | 'ignored';

export interface ScannedProject {
  readonly root: string;
  readonly name: string;
  /** What says so: the manifest, a file for agents, the config file. */
  readonly why: readonly string[];
  readonly harness: string;
  readonly command: readonly string[];
  readonly permissions: Permissions;
  readonly isolate: boolean;
  /** As `--env` has it; values of the config file are hidden. */
  readonly env: readonly string[];
  readonly visibility: 'mesh' | 'node';
  readonly description: string;
  readonly capabilities: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
  readonly defaultWorkspace?: string;
  readonly state: ProjectState;
  readonly problem?: string;
  /** One a git worktree. */
  readonly instances: readonly ScannedInstance[];
  /** Of all that is shown here but its instances: what a yes is for. */
  readonly fingerprint: string;
}

export interface ScannedInstance {
  readonly address: string;
  readonly cwd: string;
  readonly registered: boolean;
  /** Why it is not, and will not be; or why it can't be called now. */
  readonly problem?: string;
}

export interface ScanResult {
  readonly projects: readonly ScannedProject[];
  /** What was not looked at, a sentence each. */
  readonly notes: readonly string[];
}

export interface ApproveInput {
  readonly approvals: readonly { readonly root: string; readonly fingerprint: string }[];
  /** PATH of the caller's shell. */
  readonly path: string;
  readonly by: string;
}

export interface ApproveResult {
  readonly added: readonly string[];
  /** Addresses that are gone by it: the project is called otherwise now. */
  readonly removed: readonly string[];
}

export interface ProjectsApi {
  /** Without directories: the roots of the config file, or, when it names none, the project around `cwd`. @throws `invalid` for a bad config file or directory */
  scanProjects(input: { readonly directories: readonly string[]; readonly cwd: string; readonly path: string }): Promise<ScanResult>;
  /** What was shown, and nothing else. @throws `conflict` when it has changed since, or its name is taken by now; then nothing after it is approved */
  approveProjects(input: ApproveInput): Promise<ApproveResult>;
  /** Its instances are unlisted, and it is no longer approved. @param root of it, or a directory in it @throws `not_found` */
  forgetProject(root: string): Promise<{ root: string; removed: readonly string[]; heldFailed: number }>;
}
