/** git as a child, with programs in its place that behave badly. */
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createSystemClock } from '../../src/app/system-clock.ts';
import { createGit } from '../../src/harness/worktree/git.ts';
import type { GitEnd } from '../../src/harness/worktree/git.ts';
import { isRunning } from '../support/processes.ts';
import { waitFor } from '../support/wait-for.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'beckon-git-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

function run(script: string, options: { readonly timeoutMs?: number; readonly aborted?: AbortSignal; readonly sink?: (piece: Uint8Array) => Promise<boolean> } = {}): Promise<GitEnd> {
  writeFileSync(join(directory, 'git'), `#!/bin/sh\n${script}\n`);
  chmodSync(join(directory, 'git'), 0o755);
  return createGit(createSystemClock())({ args: ['-c', 'a=b', 'status', '--short'], cwd: directory, env: { PATH: `${directory}:/usr/bin:/bin`, AT: directory }, timeoutMs: 20_000, ...options });
}
const pids = (): Promise<number[]> =>
  waitFor('its processes', () => {
    const path = join(directory, 'pids');
    const lines = existsSync(path) ? readFileSync(path, 'utf8').split('\n').slice(0, -1) : [];
    return lines.length === 2 ? lines.map(Number) : undefined;
  });
const family = 'sleep 1000 & echo $! >> $AT/pids; echo $$ >> $AT/pids;';

test('its end, its answer and its last words', async () => {
  expect(await run('printf "a\\0b"; echo "fatal: \\033[31mno\\033[0m" >&2; exit 3')).toEqual({ code: 3, stdout: Buffer.from('a\0b'), words: 'fatal: ␛[31mno␛[0m' });
});

test('one that takes too long is ended with all that it started, and the error says which and how long', async () => {
  const running = run(`${family} trap "" TERM; wait; sleep 1000`, { timeoutMs: 300 });
  running.catch(() => 'awaited below');
  const [child = 0, itself = 0] = await pids();
  await expect(running).rejects.toMatchObject({ code: 'deadline', message: 'git status took longer than 0.3 s' });
  await waitFor('both to be gone', () => !isRunning(child) && !isRunning(itself));
});

test('one that is not wanted any more likewise', async () => {
  const stop = new AbortController();
  const running = run(`${family} wait`, { aborted: stop.signal });
  running.catch(() => 'awaited below');
  const [child = 0, itself = 0] = await pids();
  stop.abort();
  await expect(running).rejects.toMatchObject({ code: 'cancelled' });
  await waitFor('both to be gone', () => !isRunning(child) && !isRunning(itself));
  await expect(run('exit 0', { aborted: stop.signal })).rejects.toMatchObject({ code: 'cancelled' });
});

test('one that says too much is ended', async () => {
  await expect(run('yes')).rejects.toMatchObject({ code: 'overload' });
  let seen = 0;
  await run('yes', { sink: (piece) => Promise.resolve((seen += piece.length) < 100_000) });
  expect(seen).toBeGreaterThanOrEqual(100_000);
  await expect(run('yes', { sink: () => Promise.reject(new Error('the disk is full')) })).rejects.toThrow('the disk is full');
});

test('what a hook leaves running in the background holds nobody up', async () => {
  const { code } = await run('sleep 30 >/dev/null & echo $! > $AT/left; exit 0', { timeoutMs: 5000 });
  expect(code).toBe(0);
  process.kill(Number(readFileSync(join(directory, 'left'), 'utf8')), 'SIGKILL');
});
