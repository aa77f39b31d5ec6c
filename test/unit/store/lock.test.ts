import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { acquireLock } from '../../../src/store/lock.ts';
import { scratchDirectory } from './scratch.ts';

const moduleUrl = new URL('../../../src/store/lock.ts', import.meta.url).href;

/** Another process that has the lock until it is killed. */
async function holder(path: string) {
  const script = `
    import { acquireLock } from ${JSON.stringify(moduleUrl)};
    acquireLock(${JSON.stringify(path)});
    console.log('held');
    setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ['--input-type=module-typescript', '-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  onTestFinished(() => {
    child.kill('SIGKILL');
  });
  const [said] = (await once(child.stdout, 'data')) as [Buffer];
  expect(said.toString().trim()).toBe('held');
  return child;
}

test('a lock is had once, and its file is gone when it is released', () => {
  const directory = scratchDirectory();
  const path = join(directory, 'node.lock');
  const lock = acquireLock(path);
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(() => acquireLock(path)).toThrow(expect.objectContaining({ code: 'conflict', message: 'a node is already running here' }));
  expect(() => acquireLock(path)).toThrow(expect.objectContaining({ code: 'conflict' }));
  lock.release();
  expect(readdirSync(directory)).toEqual([]);
  const next = acquireLock(path);
  // A second release is none of the new holder's.
  lock.release();
  expect(existsSync(path)).toBe(true);
  expect(() => acquireLock(path)).toThrow(expect.objectContaining({ code: 'conflict' }));
  next.release();
});

test('another process is kept out, until the holder is killed', async () => {
  const path = join(scratchDirectory(), 'node.lock');
  const child = await holder(path);
  expect(() => acquireLock(path)).toThrow(expect.objectContaining({ code: 'conflict' }));
  child.kill('SIGKILL');
  await once(child, 'exit');
  expect(existsSync(path)).toBe(true);
  acquireLock(path).release();
  expect(existsSync(path)).toBe(false);
});

test('a file that is something else is named and left', () => {
  const path = join(scratchDirectory(), 'node.lock');
  writeFileSync(path, 'precious '.repeat(500));
  expect(() => acquireLock(path)).toThrow(expect.objectContaining({ code: 'invalid' }));
  expect(statSync(path).size).toBe(4500);
});

test('a directory that is missing is an error that says so', () => {
  expect(() => acquireLock(join(scratchDirectory(), 'none', 'node.lock'))).toThrow(expect.objectContaining({ code: 'unavailable' }));
});
