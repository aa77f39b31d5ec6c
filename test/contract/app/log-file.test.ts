/** A log file where its directory goes away as only a mount can have it: still there, and without a place. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { because, missing } from '../../support/programs.ts';

const directory = mkdtempSync(join(tmpdir(), 'beckon-log-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const noMounts = missing('unshare') ?? (spawnSync('unshare', ['--mount', 'true']).status === 0 ? undefined : 'mounts are not allowed here');

test.skipIf(noMounts !== undefined)(`a volume that was removed stops no node${because(noMounts)}`, () => {
  const [volume, data, script] = [join(directory, 'volume'), join(directory, 'data'), join(directory, 'writes.mjs')];
  for (const each of [volume, data]) mkdirSync(each);
  writeFileSync(script, `
    import { rmSync } from 'node:fs';
    import { LogFile } from ${JSON.stringify(new URL('../../../src/app/log-file.ts', import.meta.url).href)};
    let now = 0;
    const file = new LogFile({ path: ${JSON.stringify(join(data, 'logs', 'node.log'))}, limits: { bytes: 1000, files: 2 }, clock: { monotonic: () => now } });
    file.write('one\\n');
    rmSync(${JSON.stringify(volume)}, { recursive: true });
    now += 60_000;
    file.write('two\\n');
    console.log('goes on');
  `);
  const { stdout, signal } = spawnSync('unshare', ['--mount', 'sh', '-ec', `mount --bind '${volume}' '${data}'\nexec '${process.execPath}' '${script}'`], { encoding: 'utf8', timeout: 10_000, killSignal: 'SIGKILL' });
  expect({ stdout, signal }).toEqual({ stdout: 'goes on\n', signal: null });
});
