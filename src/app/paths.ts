/** Where a node keeps what it has. */
import { join } from 'node:path';
import { homeOf, socketPathIn, stateDirectory, xdg } from '../client/state-directory.ts';
import type { Environment } from '../client/state-directory.ts';

export interface Paths {
  /** BECKON_HOME, when it is set: all the others are below it. */
  readonly home?: string;
  readonly configFile: string;
  /** Who may do what with the agents of this machine; beside the config. */
  readonly policyFile: string;
  /** What the node is given as a service, captured from a shell. */
  readonly environmentFile: string;
  /** Database, keys, lock, logs. */
  readonly stateDir: string;
  readonly dbFile: string;
  /** How far the database has come, kept outside it. */
  readonly epochFile: string;
  /** How far the audit has come. */
  readonly auditFile: string;
  /** Which policy file was in force last. */
  readonly policySeenFile: string;
  /** Up to which fact its spans were told. */
  readonly tracesFile: string;
  /** That other nodes refuse this one as a copy; there while they do. */
  readonly cloneFile: string;
  readonly lockFile: string;
  /** The node's own key. */
  readonly keyFile: string;
  /** The keys of the mesh, a directory a mesh. */
  readonly trustDir: string;
  readonly logDir: string;
  /** Where isolated flights run, a directory each. */
  readonly worktreesDir: string;
  /** In a directory of its own, of mode 0700, which whoever binds makes and checks. */
  readonly socketPath: string;
}

/** With BECKON_HOME all below it; else the state where `stateDirectory` says, and the config beside it or in its XDG directory. */
export function paths(env: Environment, platform: NodeJS.Platform, homeDirectory: string, uid: number): Paths {
  const home = homeOf(env);
  const stateDir = stateDirectory(env, platform, homeDirectory);
  const configDir = home !== undefined || platform === 'darwin' ? stateDir : xdg(env, 'XDG_CONFIG_HOME', homeDirectory, '.config');
  const trustDir = join(stateDir, 'trust');
  return {
    ...(home === undefined ? {} : { home }),
    configFile: join(configDir, 'config.toml'),
    policyFile: join(configDir, 'policy.toml'),
    stateDir,
    environmentFile: join(stateDir, 'service.env'),
    dbFile: join(stateDir, 'beckon.db'),
    epochFile: join(stateDir, 'beckon.epoch'),
    auditFile: join(stateDir, 'beckon.audit'),
    policySeenFile: join(stateDir, 'beckon.policy'),
    tracesFile: join(stateDir, 'beckon.traces'),
    cloneFile: join(stateDir, 'clone.json'),
    lockFile: join(stateDir, 'beckon.lock'),
    keyFile: join(trustDir, 'node.key'),
    trustDir,
    logDir: join(stateDir, 'logs'),
    worktreesDir: join(stateDir, 'worktrees'),
    socketPath: socketPathIn(stateDir, uid),
  };
}
