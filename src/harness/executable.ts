/** Whether an agent can be started: its directory and its program, looked up as `execvp` does, but before anything is spawned. */
import { constants } from 'node:fs';
import { access, stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { unavailable } from '../domain/errors.ts';
import { quoted } from '../domain/text.ts';

/**
 * The file that `command` names: as it is when absolute, below `cwd` when it has a slash, otherwise the first
 * executable on `path`. Empty elements of `path` are skipped: they would mean the current directory.
 * @returns an absolute path
 * @throws BrokerError `unavailable`, saying where it was looked for
 */
export async function findExecutable(command: string, path: string, cwd: string): Promise<string> {
  if (command.includes('/')) {
    const file = resolve(cwd, command);
    const why = await whyNotExecutable(file);
    if (why === undefined) return file;
    throw unavailable(why === 'missing' ? `no such command: ${quoted(file)}` : `${quoted(file)} is not an executable file`, why === 'missing' ? addAgain : `chmod +x ${file}`);
  }
  let found: string | undefined;
  for (const element of path.split(':')) {
    if (element === '') continue;
    const file = resolve(cwd, element, command);
    const why = await whyNotExecutable(file);
    if (why === undefined) return file;
    if (why === 'not executable') found ??= file;
  }
  if (found !== undefined) throw unavailable(`${quoted(found)} is not an executable file`, `chmod +x ${found}`);
  throw unavailable(`no such command: ${quoted(command)} (looked in PATH as it was when the agent was added)`, addAgain);
}

const addAgain = 'install it, or remove the agent and add it again from a shell that finds the command';

async function whyNotExecutable(file: string): Promise<'missing' | 'not executable' | undefined> {
  try {
    if (!(await stat(file)).isFile()) return 'not executable';
    await access(file, constants.X_OK);
    return undefined;
  } catch (error) {
    return codeOf(error) === 'EACCES' ? 'not executable' : 'missing';
  }
}

/** @throws BrokerError `unavailable` when it is not there, is no directory, or can't be entered */
export async function requireDirectory(cwd: string): Promise<void> {
  const hint = 'put it back, or remove the agent and add it again in the directory where it shall work';
  try {
    if (!(await stat(cwd)).isDirectory()) throw unavailable(`the agent’s directory ${quoted(cwd, 200)} is not a directory`, hint);
    await access(cwd, constants.X_OK);
  } catch (error) {
    const code = codeOf(error);
    if (code === undefined) throw error;
    throw unavailable(`the agent’s directory ${quoted(cwd, 200)} ${code === 'ENOENT' ? 'does not exist' : `can’t be entered (${code})`}`, hint);
  }
}

/** The errno name of a system error; undefined for anything else. */
export function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'syscall' in error && 'code' in error ? String(error.code) : undefined;
}
