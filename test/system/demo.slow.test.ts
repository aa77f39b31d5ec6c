import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { waitFor } from '../support/wait-for.ts';

const script = join(import.meta.dirname, '..', '..', 'scripts', 'demo.ts');

let temporary: string;
beforeEach(() => {
  temporary = mkdtempSync(join(tmpdir(), 'demo-'));
});
afterEach(() => rmSync(temporary, { recursive: true, force: true }));

function start(...args: string[]): { said: () => string; interrupt: () => void; ended: Promise<number | null> } {
  const child = spawn(process.execPath, [script, ...args], { env: { ...process.env, FORCE_COLOR: undefined, NO_COLOR: '1', TMPDIR: temporary }, stdio: ['ignore', 'pipe', 'pipe'] });
  let text = '';
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
  return {
    said: () => text,
    interrupt: () => child.kill('SIGINT'),
    ended: new Promise((resolve) => child.once('close', resolve)),
  };
}

describe('the demo', () => {
  test('plays its story, ends with 0 and leaves nothing behind', async () => {
    const demo = start();
    expect([await demo.ended, demo.said()]).toEqual([0, expect.any(String)]);
    for (const part of ['1. ', '2. ', '3. ', '4. ', '✓ All of it did what it says']) expect(demo.said()).toContain(`\n${part}`);
    expect(readdirSync(temporary)).toEqual([]);
  }, 120_000);

  test('interrupted while a node starts, stops all nodes and leaves nothing behind', async () => {
    const demo = start();
    await waitFor('the second machine', () => demo.said().includes('desktop$ echo'), { timeoutMs: 60_000 });
    demo.interrupt();
    expect([await demo.ended, demo.said()]).toEqual([130, expect.any(String)]);
    expect(readdirSync(temporary)).toEqual([]);
  }, 120_000);

  test('takes no other option than --stay', async () => {
    const demo = start('--leave');
    expect([await demo.ended, readdirSync(temporary)]).toEqual([2, []]);
  });
});
