import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Launchd } from '../../../src/supervisor/launchd.ts';

let logDir: string;
beforeEach(() => (logDir = mkdtempSync(join(tmpdir(), 'beckon-launchd-'))));
afterEach(() => rmSync(logDir, { recursive: true, force: true }));

const launchd = (): Launchd => new Launchd({ run: () => Promise.reject(new Error('launchctl is not asked')), uid: 501, agentsDirectory: '/', environmentPath: '/', logDir });

test('its last words are the last lines of what launchd kept, however long that is', async () => {
  const lines = Array.from({ length: 40_000 }, (_, index) => `line ${index} of a node that would not start`);
  writeFileSync(join(logDir, 'launchd.log'), `${lines.join('\n')}\n`);
  expect(await launchd().lastWords()).toEqual(lines.slice(-20));
});

test('one line without an end is not told in part', async () => {
  writeFileSync(join(logDir, 'launchd.log'), `${'x'.repeat(100_000)}\nthe last\n`);
  expect(await launchd().lastWords()).toEqual(['the last']);
});

test('a node that said nothing, or whose log is gone, has no last words', async () => {
  expect(await launchd().lastWords()).toEqual([]);
  writeFileSync(join(logDir, 'launchd.log'), '');
  expect(await launchd().lastWords()).toEqual([]);
});
