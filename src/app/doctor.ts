/** What `doctor` sees of this machine from outside the node: who may open what, what was left behind, and, while the node is down, its store and tailnet. */
import { open, rm, statfs } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { removeSocket } from '../control/socket-path.ts';
import { databaseCheck, tailnetCheck } from '../domain/checks.ts';
import type { Check } from '../domain/checks.ts';
import { flawWords } from '../domain/config-view.ts';
import { BrokerError, toBrokerError } from '../domain/errors.ts';
import { codeOf } from '../domain/system-error.ts';
import { acquireLock } from '../store/lock.ts';
import { examine } from '../store/look.ts';
import { schemaVersion } from '../store/migrations.ts';
import { auditAtRest } from './audit-at-rest.ts';
import { cloneCheck, readCloneMark } from './clone-mark.ts';
import { configHere, flagsHere } from './config-view.ts';
import { readPolicyFile } from './policy-file.ts';
import { silentLog } from './open-log.ts';
import type { Paths } from './paths.ts';
import { findFlaws, fixMode } from './private-places.ts';
import type { Flaw } from './private-places.ts';
import { createSystemClock } from './system-clock.ts';
import { systemRandom } from './system-random.ts';
import { createTailnet, parseTailscaleFlag } from './tailnet.ts';

/** Below this a node may soon be unable to store what it accepts. */
const leastFreeBytes = 256 * 1024 * 1024;

export interface ExamineParts {
  readonly paths: Paths;
  readonly uid: number;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Puts right what is safe: modes, a socket that nobody answers on. */
  readonly fix: boolean;
  /** A node answers on the control socket. */
  readonly isRunning: boolean;
  /** Only whether the node can store what it is given: for those who ask every few seconds. */
  readonly quick?: boolean;
}

/** Never rejects for what it finds. With `fix` false nothing is changed. */
export async function examineHere(parts: ExamineParts): Promise<readonly Check[]> {
  const { paths, isRunning, quick = false } = parts;
  if (quick) return [await storable(paths)];
  if (!existsSync(paths.stateDir)) return [{ id: 'permissions', ok: true, detail: `nothing is there yet: ${paths.stateDir} is made by the first start`, hint: '' }, await config(parts), absent];
  const about = [await permissions(parts), await disk(paths), await config(parts), ...(await policy(parts)), ...(await copy(paths))];
  if (isRunning) return about;
  const lock = tryLock(paths.lockFile);
  if (lock instanceof BrokerError) {
    const isBusy = lock.code === 'conflict';
    const detail = isBusy ? 'a node runs here, and its control socket does not answer: it starts, stops, or hangs' : lock.message;
    return [...about, { id: 'node', ok: false, detail, hint: isBusy ? 'wait a moment, then: beckon status; its log says what it does' : (lock.hint ?? '') }];
  }
  try {
    return [...about, await socket(parts), absent, database(paths), ...(await auditAtRest(paths)), await tailscale(parts)];
  } finally {
    lock.release();
  }
}

const absent: Check = { id: 'node', ok: false, detail: 'no node runs here', hint: 'start it: beckon up --detach' };

async function permissions({ paths, uid, fix }: ExamineParts): Promise<Check> {
  const id = 'permissions';
  const found = await findFlaws(paths, uid);
  const fixed: string[] = [];
  for (const flaw of fix ? found.filter(({ isFixable }) => isFixable) : []) fixed.push(await fixMode(paths, flaw));
  const left = fixed.length === 0 ? found : await findFlaws(paths, uid);
  const done = fixed.length === 0 ? {} : { fixed };
  if (left.length === 0) return { id, ok: true, detail: `only this user can open what is in ${paths.stateDir}`, hint: '', ...done };
  const hint = left.some(({ isFixable }) => isFixable) ? `${hintsOf(left)}; or: beckon doctor --fix` : hintsOf(left);
  return { id, ok: false, detail: left.map(({ why }) => why).join('; '), hint, ...done };
}

function hintsOf(flaws: readonly Flaw[]): string {
  return [...new Set(flaws.map(({ hint }) => hint))].join('; ');
}

async function disk({ stateDir }: Paths): Promise<Check> {
  const { bavail, bsize } = await statfs(stateDir);
  const free = bavail * bsize;
  const detail = free >= 10 * 1024 ** 3 ? `${Math.floor(free / 1024 ** 3)} GiB are free` : `${Math.floor(free / 1024 ** 2)} MiB are free`;
  return { id: 'disk', ok: free >= leastFreeBytes, detail, hint: free >= leastFreeBytes ? '' : `make room on the disk of ${stateDir}: work that can’t be stored is refused` };
}

/** Nothing to say of where there is none. */
async function policy({ paths, uid }: ExamineParts): Promise<readonly Check[]> {
  const { path, exists, flaws, rules } = await readPolicyFile(paths.policyFile, uid);
  const [first, ...others] = flaws;
  if (!exists) return [];
  if (first === undefined) return [{ id: 'policy', ok: true, detail: `${path} is understood: ${rules.length} ${rules.length === 1 ? 'rule' : 'rules'}`, hint: '' }];
  return [{ id: 'policy', ok: false, detail: `${flawWords(first)}${others.length === 0 ? '' : `, and ${others.length} more`}; no node starts with that, and one that runs keeps the rules that it had`, hint: first.hint }];
}

/** With the environment of this shell, as the next `beckon up` from here would find it. */
async function config({ paths, env }: ExamineParts): Promise<Check> {
  const id = 'config';
  try {
    const { path, exists, flaws } = await configHere({ paths, env });
    const [first] = flaws;
    if (first === undefined) return { id, ok: true, detail: exists ? `${path} is understood` : `there is no ${path}: all is as it is by default`, hint: '' };
    const more = flaws.length === 1 ? '' : `, and ${flaws.length - 1} more`;
    return { id, ok: false, detail: `${flawWords(first)}${more}; no node starts with that`, hint: `${first.hint}; all that is wrong: beckon config check` };
  } catch (thrown) {
    const { message, hint = '' } = toBrokerError(thrown);
    return { id, ok: false, detail: message, hint };
  }
}

/** That the database is where the node opened it, and that its disk takes a synced write. */
async function storable({ stateDir, dbFile }: Paths): Promise<Check> {
  const id = 'store';
  const hint = `see to ${stateDir}: what can’t be stored is refused`;
  if (!existsSync(dbFile)) return { id, ok: false, detail: `the database ${dbFile} is gone`, hint: 'put it back, or a backup in its place, and: beckon restart' };
  const probe = join(stateDir, `probe-${process.pid}.tmp`);
  try {
    {
      await using file = await open(probe, 'wx', 0o600);
      await file.writeFile('x');
      await file.sync();
    }
    return { id, ok: true, detail: `the database is there, and its disk takes what is written`, hint: '' };
  } catch (error) {
    return { id, ok: false, detail: `nothing can be written to ${stateDir}: ${codeOf(error)}`, hint };
  } finally {
    await rm(probe, { force: true });
  }
}

/** Only where another node said so. */
async function copy({ cloneFile }: Paths): Promise<readonly Check[]> {
  try {
    const mark = await readCloneMark(cloneFile);
    return mark === undefined ? [] : [cloneCheck(mark)];
  } catch (thrown) {
    const { message, hint = '' } = toBrokerError(thrown);
    return [{ id: 'clone', ok: false, detail: message, hint }];
  }
}

/** Under the lock: whatever is at its place, no node listens on it. */
async function socket({ paths: { socketPath }, fix }: ExamineParts): Promise<Check> {
  const id = 'socket';
  if (!existsSync(socketPath)) return { id, ok: true, detail: 'none, as no node runs', hint: '' };
  if (!fix) return { id, ok: false, detail: `${socketPath} was left behind by a node that was killed`, hint: 'the next beckon up removes it; or: beckon doctor --fix' };
  await removeSocket(socketPath);
  return { id, ok: true, detail: 'none, as no node runs', hint: '', fixed: [`removed ${socketPath}, on which nobody answers`] };
}

function database({ dbFile }: Paths): Check {
  try {
    const found = examine(dbFile, schemaVersion);
    return found === 'none' ? { id: 'database', ok: true, detail: 'none yet', hint: '' } : databaseCheck(found);
  } catch (thrown) {
    const { message, hint = '' } = toBrokerError(thrown);
    return { id: 'database', ok: false, detail: message, hint };
  }
}

/** As the next `beckon up` would find it. */
async function tailscale({ paths, env }: ExamineParts): Promise<Check> {
  try {
    const flags = await flagsHere({ paths, env });
    const tailnet = createTailnet({ flag: parseTailscaleFlag(flags.tailscale), env, clock: createSystemClock(), random: systemRandom, log: silentLog });
    await tailnet?.start();
    await tailnet?.stop();
    return tailnetCheck(tailnet?.view, (flags.listen ?? []).length === 0);
  } catch (thrown) {
    const { message, hint = '' } = toBrokerError(thrown);
    return { id: 'tailscale', ok: false, detail: message, hint };
  }
}

function tryLock(path: string): ReturnType<typeof acquireLock> | BrokerError {
  try {
    return acquireLock(path);
  } catch (thrown) {
    return toBrokerError(thrown);
  }
}
