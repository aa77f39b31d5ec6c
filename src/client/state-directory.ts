/** Where this user's node has its state and its control socket: the same for the node, the command line and every program. */
import { createHash } from 'node:crypto';
import { isAbsolute, join, resolve } from 'node:path';

export type Environment = Readonly<Record<string, string | undefined>>;

/** `sun_path` has 104 bytes on macOS and 108 on Linux, the final NUL among them; some libraries need a few of their own. */
const longestSocketPath = 100;

/** BECKON_HOME made absolute, when it is set: all of a node is below it. */
export function homeOf(env: Environment): string | undefined {
  const set = env['BECKON_HOME'];
  return set === undefined || set === '' ? undefined : resolve(set);
}

/**
 * BECKON_HOME, else the XDG directory, or ~/Library/Application Support/beckon on macOS. Variables that are empty, and XDG
 * ones that are not absolute, count as not set (XDG Base Directory 0.8).
 */
export function stateDirectory(env: Environment, platform: NodeJS.Platform, homeDirectory: string): string {
  return homeOf(env) ?? (platform === 'darwin' ? join(homeDirectory, 'Library', 'Application Support', 'beckon') : xdg(env, 'XDG_STATE_HOME', homeDirectory, '.local/state'));
}

export function xdg(env: Environment, name: string, homeDirectory: string, otherwise: string): string {
  const value = env[name];
  return join(value !== undefined && isAbsolute(value) ? value : join(homeDirectory, otherwise), 'beckon');
}

/**
 * Below the state and not in XDG_RUNTIME_DIR, which a shell on the desktop has and one over ssh, cron or a service may
 * not: every command must find the same node.
 */
export function socketPathIn(stateDir: string, uid: number): string {
  const usual = join(stateDir, 'run', 'control.sock');
  if (Buffer.byteLength(usual) <= longestSocketPath) return usual;
  const short = createHash('sha256').update(stateDir).digest('hex').slice(0, 16);
  return join('/tmp', `beckon-${uid}`, `${short}.sock`);
}
