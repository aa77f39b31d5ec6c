import { execFileSync } from 'node:child_process';
import { closeSync, constants, mkdtempSync, openSync, readSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { expect, test } from 'vitest';
import { streamLines, terminalLines } from '../../../src/cli/stderr-lines.ts';
import { because, missing } from '../../support/programs.ts';

test('a stream that takes nothing is given no more than so much', () => {
  const stream = new Writable({ highWaterMark: 1, write: () => undefined });
  const put = streamLines(stream);
  let count = 0;
  while (count < 10_000 && put('x'.repeat(1024))) count += 1;
  expect(count).toBeLessThan(300);
  expect(stream.writableLength).toBeLessThan(300 * 1024);
});

const noFifo = missing('mkfifo');

/** A terminal that is stopped and a pipe that nobody reads say the same to who does not wait. */
test.skipIf(noFifo !== undefined)(`a terminal that is stopped holds nobody up, and shows whole lines when it goes on${because(noFifo)}`, () => {
  const directory = mkdtempSync(join(tmpdir(), 'beckon-fifo-'));
  const path = join(directory, 'terminal');
  execFileSync('mkfifo', [path]);
  const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const put = terminalLines(path);
    const shown: string[] = [];
    let number = 0;
    const next = (): boolean => {
      const line = `${number}${'.'.repeat(1000)}`;
      number += 1;
      const isShown = put(`${line}\n`);
      if (isShown) shown.push(line);
      return isShown;
    };
    const read = (): string => {
      const bytes = Buffer.alloc(1024 * 1024);
      return bytes.toString('utf8', 0, readSync(reader, bytes));
    };
    while (number < 10_000 && next());
    expect(number).toBeLessThan(1_000);
    let seen = '';
    // Each that is put takes what waits with it.
    for (let rounds = 0; rounds < 20; rounds += 1) {
      seen += read();
      next();
    }
    expect(seen.split('\n').slice(0, -1)).toEqual(shown.slice(0, seen.split('\n').length - 1));
    expect(shown.length).toBeGreaterThan(300);
    expect(seen.split('\n').length).toBeGreaterThan(300);
  } finally {
    closeSync(reader);
    rmSync(directory, { recursive: true });
  }
});
