import { execFileSync } from 'node:child_process';
import { appendFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { LogFile } from '../../../src/app/log-file.ts';
import { neutralise } from '../../../src/domain/text.ts';
import { CliProcess } from '../../support/cli-host.ts';
import type { HostOptions } from '../../support/cli-host.ts';
import { waitFor } from '../../support/wait-for.ts';

let directory = '';
let logPath = '';
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'beckon-logs-'));
  logPath = join(directory, 'node.log');
});
afterEach(() => rmSync(directory, { recursive: true }));

const line = (msg: string, level = 'info', fields: object = {}): string => `${JSON.stringify({ level, at: '2026-03-01T14:05:09.123Z', type: 'log', nodeId: 'k51own', ...fields, msg })}\n`;
const made = (options: Partial<HostOptions> = {}): CliProcess => new CliProcess({ socketPath: '/nowhere', logPath, ...options });
const run = async (...argv: string[]): Promise<{ code: number; out: string[]; err: string; process: CliProcess }> => {
  const process = made();
  const code = await process.run('logs', ...argv);
  return { code, out: process.stdout.split('\n').slice(0, -1), err: process.stderr, process };
};

describe('beckon logs', () => {
  test('shows all there is, the oldest first, a line an event', async () => {
    writeFileSync(`${logPath}.2`, line('one'));
    writeFileSync(`${logPath}.1`, line('two', 'warn', { peer: 'desktop', why: 'it is off', count: 3 }));
    writeFileSync(logPath, line('three', 'error', { err: { code: 'unavailable', message: 'no room', cause: { type: 'Error', code: 'ENOSPC', syscall: 'write', at: ['put (file.ts:1:2)'] } } }));
    writeFileSync(join(directory, 'node.log.old'), line('none of ours'));
    const { code, out } = await run();
    expect([code, out.map((each) => each.replace(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d /, ''))]).toEqual([
      0,
      ['info  one', 'warn  two  peer=desktop why="it is off" count=3', 'error three  err="unavailable: no room ← Error ENOSPC write at put (file.ts:1:2)"'],
    ]);
  });

  test('with --json passes the lines on as they were written', async () => {
    const lines = [line('one'), line('two', 'debug', { peer: 'ö' })];
    writeFileSync(logPath, lines.join(''));
    const { process } = await run('--json');
    expect(process.stdout).toBe(lines.join(''));
  });

  test('with --level has that level and what is above it; with -n the last of those', async () => {
    writeFileSync(logPath, line('a', 'debug') + line('b', 'warn') + line('c') + line('d', 'error') + line('e', 'warn'));
    expect((await run('--level', 'warn')).out.map((each) => each.at(-1))).toEqual(['b', 'd', 'e']);
    expect((await run('--level', 'warn', '-n', '2')).out.map((each) => each.at(-1))).toEqual(['d', 'e']);
    expect((await run('-n', '0')).out).toEqual([]);
    expect(await run('--level', 'loud')).toMatchObject({ code: 2, err: expect.stringContaining('"loud" is none of debug, info, warn, error') });
  });

  test('shows a line that was cut off, or is none, as what it is', async () => {
    writeFileSync(logPath, `${line('one')}Segmentation \u001b[31mfault\n{"level":"info","at":"2026`);
    const { out } = await run();
    expect(out.slice(1)).toEqual(['(not a whole line) Segmentation ␛[31mfault', '(not a whole line) {"level":"info","at":"2026']);
    const { process } = await run('--json');
    expect(process.events.slice(1)).toEqual([
      { type: 'unreadable', at: expect.any(String), text: 'Segmentation \u001b[31mfault' },
      { type: 'unreadable', at: expect.any(String), text: '{"level":"info","at":"2026' },
    ]);
    expect((await run('--level', 'info')).out).toHaveLength(1);
  });

  test('lets nothing of a line drive the terminal', async () => {
    writeFileSync(logPath, line('peer \u001b[2J\nis gone', 'info', { peer: '\u001b]0;x\u0007' }));
    const { out } = await run();
    expect(out).toHaveLength(1);
    expect(neutralise(out[0] ?? '')).toBe(out[0]);
  });

  test('passes over what has the name of a log and is no file, and waits for none', async () => {
    writeFileSync(logPath, line('one'));
    mkdirSync(`${logPath}.3`);
    execFileSync('mkfifo', [`${logPath}.2`]);
    symlinkSync('/nowhere', `${logPath}.1`);
    expect(await run()).toMatchObject({ code: 0, out: [expect.stringContaining('one')], err: '' });
  });

  test('says so where there is no log yet', async () => {
    expect(await run()).toMatchObject({ code: 3, err: expect.stringContaining('there is no log yet') });
    expect(await run('--json')).toMatchObject({ code: 3, err: '' });
  });
});

describe('beckon logs --follow', () => {
  const follow = (...argv: string[]): { process: CliProcess; ended: Promise<number>; sees: (...words: string[]) => Promise<void> } => {
    const process = made();
    const ended = process.run('logs', '-f', ...argv);
    const seen = (): string[] => process.stdout.split('\n').slice(0, -1).map((each) => each.slice(26));
    const sees = async (...words: string[]): Promise<void> => {
      await waitFor(`${words.join()} to be shown`, () => seen().length >= words.length);
      expect(seen()).toEqual(words);
    };
    return { process, ended, sees };
  };

  test('begins with the last ten, goes on with each line when it is whole, and ends with Ctrl-C', async () => {
    writeFileSync(logPath, Array.from({ length: 12 }, (_, index) => line(`n${index}`)).join(''));
    const { process, ended, sees } = follow();
    const ten = Array.from({ length: 10 }, (_, index) => `n${index + 2}`);
    await sees(...ten);
    const next = line('next');
    appendFileSync(logPath, next.slice(0, 30));
    appendFileSync(logPath, next.slice(30));
    await sees(...ten, 'next');
    expect(process.signal('SIGINT')).toBe(true);
    expect(await ended).toBe(0);
  });

  test('misses nothing and doubles nothing while the file is put aside again and again', async () => {
    let nowMs = 0;
    const file = new LogFile({ path: logPath, limits: { bytes: 2_000, files: 50 }, clock: { monotonic: () => (nowMs += 1) }, lostLine: () => '' });
    const words: string[] = [];
    const write = (): void => {
      words.push(`n${words.length}`);
      file.write(line(words.at(-1)!));
    };
    write();
    const { process, ended, sees } = follow('-n', '1000');
    await sees(...words);
    // Faster than anybody looks, and also while it is looked.
    for (let round = 0; round < 20; round += 1) {
      for (let count = 0; count < 30; count += 1) write();
      if (round % 5 === 0) await waitFor('some of it', () => process.stdout.includes(`n${words.length - 1}`));
    }
    await sees(...words);
    process.signal('SIGTERM');
    expect(await ended).toBe(0);
  });

  test('waits for a log that is not there yet, and follows one that was removed and begun again', async () => {
    const { process, ended, sees } = follow('--level', 'warn');
    writeFileSync(logPath, line('one', 'warn') + line('too low'));
    await sees('one');
    rmSync(logPath);
    writeFileSync(logPath, line('two', 'error'));
    await sees('one', 'two');
    process.signal('SIGHUP');
    expect(await ended).toBe(0);
  });

  test('ends when nobody reads any more', async () => {
    writeFileSync(logPath, line('one'));
    const process = made({ readsBytes: 10 });
    expect(await process.run('logs', '-f')).toBe(0);
  });
});
