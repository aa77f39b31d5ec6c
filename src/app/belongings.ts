/** All that a node leaves on its machine, by name: only what is known to be Beckon's is ever removed. */
import { existsSync } from 'node:fs';
import { lstat, readdir, rm, rmdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Belonging, Belongings } from '../domain/belongings.ts';
import { codeOf } from '../domain/system-error.ts';
import { meshIn } from '../store/glance.ts';
import { acquireLock } from '../store/lock.ts';
import type { Paths } from './paths.ts';

/** In the state directory; the first that fits counts. */
const known: readonly (readonly [name: RegExp, what: string])[] = [
  [/^beckon\.lock(-.*)?$/, 'lock'],
  [/^beckon\.db\.v\d+(-\d+)?\.backup$/, 'copy of the database from before an upgrade'],
  [/^beckon\.db(-wal|-shm|-journal)?$/, 'database'],
  [/^(beckon\.epoch|beckon\.audit|beckon\.policy|beckon\.traces|clone\.json|probe-\d+)(\..*)?$/, 'state'],
  [/^trust$/, 'keys'],
  [/^(set-aside|rekey|rekey\.json|rekey\.wanted|rekey\.refused)$/, 'earlier keys and database'],
  [/^up\.json(\.new)?$/, 'flags of up'],
  [/^service\.env(\.new)?$/, 'environment of the service'],
  [/^logs$/, 'logs'],
  [/^run$/, 'control socket'],
  [/^worktrees$/, 'worktrees of isolated flights'],
];

export interface BelongingsParts {
  readonly paths: Paths;
  /** Of compiled code. */
  readonly cacheDir: string;
}

export async function findBelongings({ paths, cacheDir }: BelongingsParts): Promise<Belongings> {
  const { stateDir, configFile, policyFile, socketPath, worktreesDir } = paths;
  // First: a look into the database may leave a file beside it.
  const mesh = existsSync(paths.dbFile) ? meshIn(paths.dbFile) : undefined;
  const names = (await namesIn(stateDir)).toSorted();
  const own = names.flatMap((name) => {
    const what = known.find(([pattern]) => pattern.test(name))?.[1];
    return what === undefined ? [] : [{ what, path: join(stateDir, name) }];
  });
  const socketDir = dirname(socketPath);
  const elsewhere = [
    { what: 'config', path: configFile },
    { what: 'policy', path: policyFile },
    // A long path of the state directory has its socket in a directory that nodes of other homes may share.
    ...(dirname(socketDir) === stateDir ? [] : [{ what: 'control socket', path: socketPath }]),
    // Nodes of other homes of this user have it too.
    ...(paths.home === undefined ? [{ what: 'cache of compiled code', path: cacheDir }] : []),
  ].filter(({ path }) => existsSync(path) && !own.some((each) => each.path === path));
  const found = await Promise.all([...own, ...elsewhere].map(async (each): Promise<Belonging> => ({ ...each, bytes: await bytesOf(each.path) })));
  return {
    found,
    left: names.map((name) => join(stateDir, name)).filter((path) => !found.some((each) => each.path === path)),
    worktrees: (await namesIn(worktreesDir)).map((name) => join(worktreesDir, name)),
    ...(mesh === undefined ? {} : { mesh }),
  };
}

/**
 * Under the node's lock, so that none starts meanwhile; the lock itself goes last, then the directories that are empty.
 * @throws BrokerError `conflict` while a node runs
 */
export async function removeBelongings({ paths }: BelongingsParts, { found }: Belongings): Promise<readonly string[]> {
  const isLock = ({ what }: Belonging): boolean => what === 'lock';
  const lock = existsSync(paths.stateDir) ? acquireLock(paths.lockFile) : undefined;
  try {
    for (const { path } of found.filter((each) => !isLock(each))) await rm(path, { recursive: true, force: true });
  } finally {
    lock?.release();
  }
  for (const { path } of found.filter(isLock)) await rm(path, { force: true });
  const directories = [paths.stateDir, dirname(paths.configFile)].filter((each, at, all) => all.indexOf(each) === at);
  const empty: string[] = [];
  for (const path of directories) if (existsSync(path) && (await namesIn(path)).length === 0) empty.push(path);
  for (const path of empty) await rmdir(path);
  return [...found.map(({ path }) => path), ...empty];
}

async function namesIn(directory: string): Promise<string[]> {
  return await readdir(directory).catch((error: unknown) => (['ENOENT', 'ENOTDIR'].includes(codeOf(error)) ? [] : Promise.reject(error)));
}

/** As far as this user can see; links are not followed. */
async function bytesOf(path: string): Promise<number> {
  const stat = await lstat(path);
  if (!stat.isDirectory()) return stat.size;
  const inside = await Promise.all((await namesIn(path)).map((name) => bytesOf(join(path, name))));
  return inside.reduce((sum, each) => sum + each, 0);
}
