/** This node as the system's supervisor runs it: which supervisor, for whom, and the files that say so. */
import { existsSync } from 'node:fs';
import { chmod, mkdir, open, readFile, realpath, rename, rm, rmdir } from 'node:fs/promises';
import { dirname, isAbsolute, join } from 'node:path';
import { BrokerError, denied, unavailable } from '../domain/errors.ts';
import type { Entry, EntryPlan, Found, Launch, Scope, Supervision, Supervisor } from '../domain/supervision-port.ts';
import { codeOf } from '../domain/system-error.ts';
import { capture } from '../supervisor/capture.ts';
import { environmentFile, parseEnvironmentFile } from '../supervisor/environment-file.ts';
import { Launchd } from '../supervisor/launchd.ts';
import { Systemd } from '../supervisor/systemd.ts';
import { drainSeconds } from '../supervisor/systemd-unit.ts';
import { findInvoker } from './invoker.ts';
import type { Invoker, InvokerParts } from './invoker.ts';
import { paths as findPaths } from './paths.ts';
import type { Paths } from './paths.ts';
import { ensurePrivateDir } from './private-dir.ts';

export interface SupervisionParts extends InvokerParts {
  readonly platform: NodeJS.Platform;
  /** How this program runs: Node, its flags, the program's path. */
  readonly argv: readonly [node: string, ...rest: string[]];
  /** `/` but for tests. */
  readonly root?: string;
}

/** Where the node's home may be said in, besides BECKON_HOME. */
const places = ['XDG_STATE_HOME', 'XDG_CONFIG_HOME', 'XDG_CACHE_HOME'] as const;

export function createSupervision(parts: SupervisionParts): Supervision {
  return {
    plan: async ({ scope, user, asked }) => await plan(parts, scope, user, asked),
    write: async (planned) => await write(planned),
    installed: async (user) => await installed(parts, user),
    isCurrent: async (entry) => {
      const { supervisor } = entry;
      const invoker = await invokerOf(parts, supervisor.scope, entry.user);
      return (await readText(supervisor.entryPath)) === supervisor.render(await launchOf(parts, invoker));
    },
    filesOf: (entry) => Promise.resolve(filesOf(entry)),
    remove: async (entry) => await remove(entry),
  };
}

async function plan(parts: SupervisionParts, scope: Scope, user: string | undefined, asked: readonly string[]): Promise<EntryPlan> {
  const invoker = await invokerOf(parts, scope, user);
  const entry = entryOf(parts, scope, invoker);
  const { supervisor, stateDir } = entry;
  const entryText = supervisor.render(await launchOf(parts, invoker));
  const there = await readText(supervisor.entryPath);
  const before = await readText(supervisor.environmentPath);
  // All kinds of agents are behind it: only who installs waits for that.
  const { isForAgents } = await import('../harness/registry.ts');
  const { variables, notes } = capture(invoker.env, isForAgents, asked);
  const kept = before === undefined ? {} : parseEnvironmentFile(before);
  const environmentText = environmentFile({ ...kept, ...variables });
  const owner = there === undefined ? undefined : supervisor.stateDirOf(there);
  const missed = Object.keys(kept).filter((name) => !(name in variables));
  return {
    ...entry,
    entryText,
    environmentText,
    variables: Object.keys({ ...kept, ...variables }).toSorted(),
    entry: there !== undefined && owner !== stateDir ? 'other' : changeOf(there, entryText),
    environment: changeOf(before, environmentText),
    ...(there !== undefined && owner !== undefined && owner !== stateDir ? { otherOwner: owner } : {}),
    notes: [
      ...(invoker.note === undefined ? [] : [invoker.note]),
      ...notes,
      ...(missed.length === 0 ? [] : [`this shell has no ${missed.join(', ')}: as captured before`]),
      ...(invoker.uid === 0 ? ['it runs as root, and so does every agent'] : []),
    ],
  };
}

function changeOf(there: string | undefined, wanted: string): Found {
  return there === undefined ? 'absent' : there === wanted ? 'same' : 'changed';
}

/** @throws BrokerError `denied` for a scope that this user can't change, or would change for root by accident */
async function invokerOf(parts: SupervisionParts, scope: Scope, user: string | undefined): Promise<Invoker> {
  const { uid, env, own } = parts;
  if (scope === 'system') return await findInvoker(parts, user);
  if (uid === 0 && (env['SUDO_USER'] ?? '') !== '') throw denied('this would be a unit of root, and every agent would be root', 'give it without sudo, or for the machine: --system');
  if (user !== undefined && user !== own.name) throw denied(`a unit of ${user} is theirs to install`, 'as that user, or with --system');
  return { ...own, uid, env };
}

function pathsOf({ platform }: SupervisionParts, { env, home, uid }: Invoker): Paths {
  return findPaths(env, platform, homeIn(env) ?? home, uid);
}

function homeIn(env: Invoker['env']): string | undefined {
  const home = env['HOME'];
  return home === undefined || home === '' ? undefined : home;
}

function entryOf(parts: SupervisionParts, scope: Scope, invoker: Invoker): Entry {
  const paths = pathsOf(parts, invoker);
  return { supervisor: supervisorOf(parts, scope, invoker, paths), user: invoker.name, stateDir: paths.stateDir, socketPath: paths.socketPath, isChangeable: scope === 'user' || parts.uid === 0 };
}

function supervisorOf({ platform, run, root = '/' }: SupervisionParts, scope: Scope, { env, uid, home }: Invoker, paths: Paths): Supervisor {
  const environmentPath = scope === 'system' ? join(root, 'etc', 'beckon', 'service.env') : paths.environmentFile;
  if (platform === 'darwin') {
    if (scope === 'system') throw new BrokerError('unavailable', 'on macOS it is installed for a user only', { hint: 'leave --system out: it runs from login to logout' });
    return new Launchd({ run, uid, agentsDirectory: join(homeIn(env) ?? home, 'Library', 'LaunchAgents'), environmentPath, logDir: paths.logDir });
  }
  const config = env['XDG_CONFIG_HOME'];
  const configDirectory = config !== undefined && isAbsolute(config) ? config : join(homeIn(env) ?? home, '.config');
  const unitDirectory = scope === 'system' ? join(root, 'etc', 'systemd', 'system') : join(configDirectory, 'systemd', 'user');
  return new Systemd({ scope, run, uid, unitDirectory, environmentPath, runtimeDirectory: env['XDG_RUNTIME_DIR'], exists: existsSync });
}

async function launchOf(parts: SupervisionParts, invoker: Invoker): Promise<Launch> {
  const { env, home, name } = invoker;
  const { home: beckonHome, stateDir, logDir } = pathsOf(parts, invoker);
  const set = places.flatMap((place) => (isAbsolute(env[place] ?? '') ? [[place, env[place] ?? '']] : []));
  return {
    argv: [...(await programOf(parts.argv, env)), 'up', '--drain', `${drainSeconds}s`],
    environment: {
      ...(homeIn(env) === undefined || homeIn(env) === home ? {} : { HOME: homeIn(env) ?? '' }),
      ...(beckonHome === undefined ? {} : { BECKON_HOME: beckonHome }),
      ...Object.fromEntries(set),
    },
    stateDir,
    logDir,
    user: name,
  };
}

/** A checkout's own launcher finds the Node that it pins, and what was built last, at each start. */
async function programOf([node, ...rest]: SupervisionParts['argv'], env: Invoker['env']): Promise<readonly string[]> {
  const launcher = join(dirname(rest.at(-1) ?? ''), '..', 'scripts', 'beckon');
  return isAbsolute(launcher) && existsSync(launcher) ? [launcher] : [await lasting(node, env), ...rest];
}

/** Below these a name is gone with the login or the boot. */
const passing = /^\/(run|tmp|var\/run|var\/tmp|proc)\//;

/** The name on PATH under which this Node is found, if there is one: package managers change what is behind it. */
async function lasting(node: string, env: Invoker['env']): Promise<string> {
  for (const directory of (env['PATH'] ?? '').split(':')) {
    const path = join(directory, 'node');
    if (!isAbsolute(directory) || passing.test(path) || path.includes('/fnm_multishells/')) continue;
    const real = await realpath(path).catch((error: unknown) => (error instanceof Error ? '' : Promise.reject(error)));
    if (real === node) return path;
  }
  return node;
}

async function installed(parts: SupervisionParts, user: string | undefined): Promise<Entry | undefined> {
  const { uid, own, env } = parts;
  const isSudo = uid === 0 && (env['SUDO_USER'] ?? '') !== '';
  if (!isSudo && (user ?? own.name) === own.name) {
    const entry = entryOf(parts, 'user', { ...own, uid, env });
    if (await isOf(entry)) return entry;
    if (parts.platform === 'darwin') return undefined;
  }
  const entry = entryOf(parts, 'system', await findInvoker(parts, user ?? (isSudo ? undefined : own.name)));
  return (await isOf(entry)) ? entry : undefined;
}

async function isOf({ supervisor, stateDir }: Entry): Promise<boolean> {
  const there = await readText(supervisor.entryPath);
  return there !== undefined && supervisor.stateDirOf(there) === stateDir;
}

async function write({ supervisor, entryText, environmentText, stateDir, entry, environment }: EntryPlan): Promise<void> {
  const { entryPath, environmentPath, scope } = supervisor;
  await asAllowed(environmentPath, async () => {
    if (scope === 'user') await ensurePrivateDir(stateDir);
    else await mkdir(dirname(environmentPath), { recursive: true, mode: 0o755 });
    if (environment !== 'same') await replace(environmentPath, environmentText, 0o600);
    else await chmod(environmentPath, 0o600);
  });
  await asAllowed(entryPath, async () => {
    await mkdir(dirname(entryPath), { recursive: true });
    if (entry !== 'same') await replace(entryPath, entryText, 0o644);
  });
}

/** A crash leaves the old file or the new. */
async function replace(path: string, text: string, mode: number): Promise<void> {
  const temporary = `${path}.new`;
  await rm(temporary, { force: true });
  {
    await using file = await open(temporary, 'wx', mode);
    await file.chmod(mode);
    await file.writeFile(text);
    await file.sync();
  }
  await rename(temporary, path);
}

async function remove(entry: Entry): Promise<readonly string[]> {
  const { supervisor } = entry;
  const gone = filesOf(entry);
  for (const path of gone) await asAllowed(path, () => rm(path, { force: true }));
  if (supervisor.scope === 'system') await rmdir(dirname(supervisor.environmentPath)).catch(ofSystem);
  return gone;
}

function filesOf({ supervisor: { entryPath, environmentPath } }: Entry): readonly string[] {
  return [entryPath, environmentPath].filter((path) => existsSync(path));
}

/** Whatever else is in there is not ours. */
function ofSystem(error: unknown): void {
  if (!(error instanceof Error && 'code' in error)) throw error;
}

async function asAllowed(path: string, act: () => Promise<void>): Promise<void> {
  try {
    await act();
  } catch (error) {
    if (!(error instanceof Error && 'code' in error) || error instanceof BrokerError) throw error;
    if (error.code === 'EACCES' || error.code === 'EPERM') throw denied(`this user may not change ${path}`, 'give it by sudo');
    throw unavailable(`${path} can’t be changed: ${String(error.code)}`);
  }
}

async function readText(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(codeOf(error))) return undefined;
    if (codeOf(error) === 'EACCES') return '';
    throw error;
  }
}
