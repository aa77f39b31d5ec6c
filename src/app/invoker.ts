/** Who it is that a command works for, also when it runs as root in their name. */
import { readFile } from 'node:fs/promises';
import { denied, notFound, unavailable } from '../domain/errors.ts';
import type { Environment } from '../supervisor/capture.ts';
import type { Run } from '../supervisor/run.ts';

export interface Invoker {
  readonly name: string;
  readonly uid: number;
  /** As the user database has it. */
  readonly home: string;
  /** Of the shell that they gave the command in. */
  readonly env: Environment;
  readonly note?: string;
}

export interface InvokerParts {
  readonly env: Environment;
  readonly uid: number;
  readonly ppid: number;
  readonly own: { readonly name: string; readonly home: string };
  readonly run: Run;
  /** The environment and name of a process and its parent; undefined when they can't be read. */
  readonly processAt?: (pid: number) => Promise<ProcessFacts | undefined>;
}

export interface ProcessFacts {
  readonly name: string;
  readonly parent: number;
  readonly env: Environment;
}

/** What a person has who never logged in here. */
const usualPath = '/usr/local/bin:/usr/bin:/bin';
const mostAncestors = 8;

/**
 * Without root this user. Under sudo the user who called it, with the environment of their shell, which sudo itself still
 * has. Root by itself only when `wished` says so.
 * @throws BrokerError `denied` for root that was not asked for, `not_found` for a user that is not there
 */
export async function findInvoker(parts: InvokerParts, wished: string | undefined): Promise<Invoker> {
  const { env, uid, own } = parts;
  const me: Invoker = { ...own, uid, env };
  if (uid !== 0) {
    if (wished !== undefined && wished !== own.name) throw denied(`only root can install it for ${wished}`, 'give it by sudo, or leave --user out');
    return me;
  }
  const caller = env['SUDO_USER'] ?? '';
  const isOfSudo = caller !== '' && caller !== 'root';
  const name = wished ?? (isOfSudo ? caller : undefined);
  if (name === undefined) throw denied('nobody is named to run it as, and every agent would be root', 'give it by sudo as the user that it is for, or name one: --user NAME');
  if (name === 'root') return me;
  const { uid: theirs, home } = await userOf(parts.run, name);
  const shell = isOfSudo && name === caller ? await shellOfSudo(parts) : undefined;
  if (shell !== undefined) return { name, uid: theirs, home, env: shell };
  return { name, uid: theirs, home, env: { HOME: home, PATH: usualPath }, note: `the environment of ${name} is not known here: PATH is ${usualPath}, and nothing else is captured` };
}

async function userOf(run: Run, name: string): Promise<{ uid: number; home: string }> {
  const { code, stdout, stderr } = await run('getent', ['passwd', '--', name]);
  if (code === undefined) throw unavailable(`users can’t be looked up: ${stderr.trim()}`, 'is getent installed?');
  const [, , uid, , , home] = stdout.trim().split(':');
  if (code !== 0 || uid === undefined || home === undefined) throw notFound(`there is no user ${name} on this machine`);
  return { uid: Number(uid), home };
}

/** sudo cleans what it passes on; the outermost of its processes was started with what the shell had. */
async function shellOfSudo({ ppid, processAt = processOf }: InvokerParts): Promise<Environment | undefined> {
  let found: Environment | undefined;
  for (let [pid, looked] = [ppid, 0]; pid > 1 && looked < mostAncestors; looked += 1) {
    const facts = await processAt(pid);
    if (facts === undefined) break;
    if (facts.name === 'sudo') found = facts.env;
    else if (found !== undefined) break;
    pid = facts.parent;
  }
  return found;
}

/** proc_pid_status(5), proc_pid_environ(5). */
async function processOf(pid: number): Promise<ProcessFacts | undefined> {
  try {
    const [status, environ] = await Promise.all(['status', 'environ'].map((name) => readFile(`/proc/${pid}/${name}`, 'utf8')));
    const field = (name: string): string => new RegExp(`^${name}:\\s*(.*)$`, 'm').exec(status ?? '')?.[1] ?? '';
    const pairs = (environ ?? '').split('\0').filter((each) => each.indexOf('=') > 0);
    return { name: field('Name'), parent: Number(field('PPid')), env: Object.fromEntries(pairs.map((each) => [each.slice(0, each.indexOf('=')), each.slice(each.indexOf('=') + 1)])) };
  } catch (error) {
    if (error instanceof Error && 'code' in error) return undefined;
    throw error;
  }
}
