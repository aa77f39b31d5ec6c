/** Where a node keeps what it has. */
import { createHash } from 'node:crypto';
import { isAbsolute, join, resolve } from 'node:path';

export interface Paths {
  /** BECKON_HOME, when it is set: all the others are below it. */
  readonly home?: string;
  readonly configFile: string;
  /** Database, keys, lock, logs. */
  readonly stateDir: string;
  readonly dbFile: string;
  /** How far the database has come, kept outside it. */
  readonly epochFile: string;
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

/** `sun_path` has 104 bytes on macOS and 108 on Linux, the final NUL among them; some libraries need a few of their own. */
const longestSocketPath = 100;

/**
 * With BECKON_HOME (made absolute from the current directory) all below it; else the XDG directories, or
 * ~/Library/Application Support/beckon on macOS. The socket is below the state and not in XDG_RUNTIME_DIR, which a
 * shell on the desktop has and one over ssh, cron or a service may not: every command must find the same node.
 * Variables that are empty, and XDG ones that are not absolute, count as not set (XDG Base Directory 0.8).
 */
export function paths(env: Readonly<Record<string, string | undefined>>, platform: NodeJS.Platform, homeDirectory: string, uid: number): Paths {
  const set = env['BECKON_HOME'];
  if (set !== undefined && set !== '') {
    const home = resolve(set);
    return { home, ...below(home, join(home, 'config.toml'), uid) };
  }
  if (platform === 'darwin') {
    const support = join(homeDirectory, 'Library', 'Application Support', 'beckon');
    return below(support, join(support, 'config.toml'), uid);
  }
  const xdg = (name: string, otherwise: string): string => {
    const value = env[name];
    return join(value !== undefined && isAbsolute(value) ? value : join(homeDirectory, otherwise), 'beckon');
  };
  return below(xdg('XDG_STATE_HOME', '.local/state'), join(xdg('XDG_CONFIG_HOME', '.config'), 'config.toml'), uid);
}

function below(stateDir: string, configFile: string, uid: number): Paths {
  const trustDir = join(stateDir, 'trust');
  return {
    configFile,
    stateDir,
    dbFile: join(stateDir, 'beckon.db'),
    epochFile: join(stateDir, 'beckon.epoch'),
    lockFile: join(stateDir, 'beckon.lock'),
    keyFile: join(trustDir, 'node.key'),
    trustDir,
    logDir: join(stateDir, 'logs'),
    worktreesDir: join(stateDir, 'worktrees'),
    socketPath: socketPath(stateDir, uid),
  };
}

function socketPath(stateDir: string, uid: number): string {
  const usual = join(stateDir, 'run', 'control.sock');
  if (Buffer.byteLength(usual) <= longestSocketPath) return usual;
  const short = createHash('sha256').update(stateDir).digest('hex').slice(0, 16);
  return join('/tmp', `beckon-${uid}`, `${short}.sock`);
}
