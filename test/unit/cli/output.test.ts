import { Writable } from 'node:stream';
import { expect, test } from 'vitest';
import { Output } from '../../../src/cli/output.ts';
import type { Host } from '../../../src/cli/host.ts';

test('however many write to one slow reader, it is listened to once, and each resolves when there is room', async () => {
  const taken: (() => void)[] = [];
  const stdout = new Writable({ highWaterMark: 1, write: (_chunk, _encoding, done) => void taken.push(done) });
  const host = { stdout, stderr: new Writable(), tty: { stdout: false, stderr: false }, env: {}, clock: { now: () => 0 } } as unknown as Host;
  const out = new Output(host, false);
  let resolved = 0;
  const writes = Array.from({ length: 30 }, () => out.write('a line\n').then(() => (resolved += 1)));
  await Promise.resolve();
  expect([stdout.listenerCount('drain'), resolved]).toEqual([1, 0]);
  while (resolved < writes.length) {
    taken.shift()?.();
    await new Promise((resolve) => setImmediate(resolve));
  }
  await Promise.all(writes);
  expect(stdout.listenerCount('drain')).toBe(0);
});
