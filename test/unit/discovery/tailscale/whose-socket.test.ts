import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { whoseSocket } from '../../../../src/discovery/tailscale/whose-socket.ts';
import { because, notRoot } from '../../../support/programs.ts';

const uid = process.getuid?.() ?? 0;
const another = 65_534;

let base: string;
beforeEach(() => {
  base = mkdtempSync('/var/tmp/beckon-whose-');
});
afterEach(() => rmSync(base, { recursive: true, force: true }));

function directory(mode: number, ...names: string[]): string {
  const path = join(base, ...names);
  mkdirSync(path);
  chmodSync(path, mode);
  return path;
}

describe('whose a socket is', () => {
  test('in a directory that only its user can write to it is their own, there or not', async () => {
    const path = join(directory(0o755, 'run'), 'tailscaled.sock');
    expect(await whoseSocket(path, uid)).toBe('own');
    writeFileSync(path, '');
    expect(await whoseSocket(path, uid)).toBe('own');
    expect(await whoseSocket(join(base, 'run', 'not', 'made', 'yet.sock'), uid)).toBe('own');
  });

  test('where everybody may make something, nothing is free for all, and what is there may be anybody’s', async () => {
    const path = join(directory(0o777, 'open'), 'tailscaled.sock');
    expect(await whoseSocket(path, uid)).toBe('free');
    writeFileSync(path, '');
    expect(await whoseSocket(path, uid)).toBe('foreign');
  });

  test('as in /tmp: what is one’s own there stays, since nobody else can take it away', async () => {
    const tmp = directory(0o1777, 'tmp');
    const path = join(tmp, 'tailscale', 'tailscaled.sock');
    expect(await whoseSocket(path, uid)).toBe('free');
    mkdirSync(join(tmp, 'tailscale'), { mode: 0o755 });
    expect(await whoseSocket(path, uid)).toBe('own');
  });

  test('links on the way are followed to where they lead', async () => {
    directory(0o777, 'open');
    symlinkSync(join(base, 'open'), join(base, 'run'));
    expect(await whoseSocket(join(base, 'run', 'tailscaled.sock'), uid)).toBe('free');
  });

  test.skipIf(notRoot !== undefined)(`a directory or a socket of another user is foreign${because(notRoot)}`, async () => {
    const tmp = directory(0o1777, 'tmp');
    const theirs = join(tmp, 'tailscale');
    mkdirSync(theirs, { mode: 0o755 });
    chownSync(theirs, another, another);
    expect(await whoseSocket(join(theirs, 'tailscaled.sock'), uid)).toBe('free');
    writeFileSync(join(theirs, 'tailscaled.sock'), '');
    expect(await whoseSocket(join(theirs, 'tailscaled.sock'), uid)).toBe('foreign');
    const own = directory(0o755, 'own');
    writeFileSync(join(own, 'tailscaled.sock'), '');
    chownSync(join(own, 'tailscaled.sock'), another, another);
    expect(await whoseSocket(join(own, 'tailscaled.sock'), uid)).toBe('foreign');
  });
});
