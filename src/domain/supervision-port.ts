/**
 * The system's own supervisor (systemd, launchd) and the entry that has it run this machine's node. An *entry* is what it
 * reads: a unit, a property list.
 */

/** `user`: of this person's own supervisor. `system`: of the machine's, which needs root to change. */
export type Scope = 'user' | 'system';

/** How the node is to be run. */
export interface Launch {
  /** The program, an absolute path, and its arguments. */
  readonly argv: readonly string[];
  /** Says where the node's files are; any user of the machine may read it. */
  readonly environment: Readonly<Record<string, string>>;
  /** By which an entry is known to be of this node. */
  readonly stateDir: string;
  readonly logDir: string;
  /** Whom it runs as. */
  readonly user: string;
}

/** What the supervisor says of the entry. `retrying`: it failed, and is started again soon. */
export type SupervisedState = 'running' | 'starting' | 'retrying' | 'stopping' | 'stopped' | 'failed' | 'unknown';

export interface Supervised {
  readonly state: SupervisedState;
  /** Started by itself at boot, or at login. */
  readonly isEnabled: boolean;
  /** Of the node that it runs. */
  readonly pid?: number;
  /** In words, when it failed or the supervisor can't be asked. */
  readonly why?: string;
}

export interface Supervisor {
  readonly kind: 'systemd' | 'launchd';
  readonly scope: Scope;
  readonly entryPath: string;
  /** Holds the environment that was captured: mode 0600, and read by the supervisor or the user alone. */
  readonly environmentPath: string;
  /** The entry's text. @throws BrokerError `invalid` for a path that can't stand in one */
  render(launch: Launch): string;
  /** The state directory of the node whose entry this is; undefined when it is none of ours. */
  stateDirOf(entry: string): string | undefined;
  /** Has the supervisor read the entry again, and start it at each boot or login. @throws BrokerError `unavailable` with the supervisor's words */
  enable(): Promise<void>;
  start(): Promise<void>;
  /** As `beckon down` does, and what still runs after its time is ended; resolves when it has ended. */
  stop(): Promise<void>;
  /** No more started by itself. What runs goes on. */
  disable(): Promise<void>;
  /** Told after the entry's file was removed. */
  forget(): Promise<void>;
  look(): Promise<Supervised>;
  /** What the node said last, under this supervisor, newest last. Empty when that can't be had. */
  lastWords(): Promise<readonly string[]>;
  /** Whether the node runs while nobody is logged in; undefined where that is no question. */
  outlivesLogout(user: string): Promise<boolean | undefined>;
}

/** Of a node that a supervisor runs, or shall run. */
export interface Entry {
  readonly supervisor: Supervisor;
  readonly user: string;
  readonly stateDir: string;
  readonly socketPath: string;
  /** By this process; a unit of the machine is root's. */
  readonly isChangeable: boolean;
}

/** `other`: of another node, or nobody knows whose. */
export type Found = 'absent' | 'same' | 'changed' | 'other';

/** What an install would leave. */
export interface EntryPlan extends Entry {
  readonly entryText: string;
  readonly environmentText: string;
  /** Names of the variables that are captured. */
  readonly variables: readonly string[];
  readonly entry: Found;
  readonly environment: Found;
  /** Whose the entry is that is there, when it is another's. */
  readonly otherOwner?: string;
  /** For people. */
  readonly notes: readonly string[];
}

export interface Supervision {
  /**
   * What an install would write. Changes nothing.
   * @param wish.user whom it runs as, for root to say
   * @param wish.asked names of variables that agents of this node were added with
   * @throws BrokerError `invalid`, `denied` or `unavailable` when it can't be done here or by this user
   */
  plan(wish: { readonly scope: Scope; readonly user?: string; readonly asked: readonly string[] }): Promise<EntryPlan>;
  /** @throws BrokerError `denied` when this user may not */
  write(plan: EntryPlan): Promise<void>;
  /**
   * Of this node, where one is installed: of the user who calls, also by sudo, or, for root to say, of `user`.
   * @throws BrokerError `not_found` for a user that is not there, `denied` for one that is not this one
   */
  installed(user?: string): Promise<Entry | undefined>;
  /** Whether the entry is the one that an install would write now. */
  isCurrent(entry: Entry): Promise<boolean>;
  /** @returns the paths that are gone now; a person's own additions stay */
  remove(entry: Entry): Promise<readonly string[]>;
  /** What `remove` would. */
  filesOf(entry: Entry): Promise<readonly string[]>;
}
