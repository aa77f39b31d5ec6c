import { spawnSync } from 'node:child_process';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The checkout's root directory, without a trailing slash. */
export const root = fileURLToPath(new URL('..', import.meta.url)).replace(/\/$/, '');

/** The environment of a child: the checkout's own programs (the pinned Node too) come first on PATH. */
export const environment = {
  ...process.env,
  PATH: [join(root, 'node_modules', '.bin'), process.env['PATH']].join(delimiter),
};

/** Runs a program in the root with the terminal as its own. Resolves to its exit code; a signal counts as 1. */
export function run(program: string, ...args: string[]): number {
  const { status, error } = spawnSync(program, args, { cwd: root, env: environment, stdio: 'inherit' });
  if (error) throw error;
  return status ?? 1;
}

/** What a program wrote to stdout, trimmed; undefined when it failed. */
export function read(program: string, ...args: string[]): string | undefined {
  const { status, stdout, error } = spawnSync(program, args, { cwd: root, env: environment, encoding: 'utf8' });
  if (error) throw error;
  return status === 0 ? stdout.trim() : undefined;
}
