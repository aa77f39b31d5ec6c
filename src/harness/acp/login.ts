/** Whether an agent is logged in, as far as files and variables tell: nothing is started, asked or spent. */
import { stat } from 'node:fs/promises';
import type { Environment } from '../environment.ts';
import { beginningOf } from '../small-file.ts';
import type { Login, LoginFile } from './presets.ts';

/** Of a file that is looked into, bytes: settings are small, histories kept beside them are not. */
const mostRead = 4 * 1024 * 1024;

/** `unknown`: it may be, where nobody can look without asking its user. */
export type LoginState = 'in' | 'out' | 'unknown';

/** @param env as the agent will have it */
export async function loginState(login: Login | undefined, env: Environment, platform: NodeJS.Platform): Promise<LoginState> {
  if (login === undefined) return 'unknown';
  if (login.variables.some((name) => (env[name] ?? '') !== '')) return 'in';
  const home = env['HOME'];
  if (home === undefined || home === '') return 'unknown';
  for (const file of login.files(home, env)) {
    const found = await look(file);
    if (found !== 'no') return found === 'yes' ? 'in' : 'unknown';
  }
  return login.hiddenOn.includes(platform) ? 'unknown' : 'out';
}

async function look({ path, holds }: LoginFile): Promise<'yes' | 'no' | 'unreadable'> {
  try {
    const { size } = await stat(path);
    if (holds === undefined) return size > 0 ? 'yes' : 'no';
    const text = await beginningOf(path, Math.min(size, mostRead));
    return text !== undefined && holds.test(text) ? 'yes' : 'no';
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    return code === 'ENOENT' || code === 'ENOTDIR' ? 'no' : 'unreadable';
  }
}
