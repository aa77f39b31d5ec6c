import { closeSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { createLog } from '../../../src/app/log.ts';

/** Linux has a file on which every write finds the disk full. */
const full = '/dev/full';

describe('the log of a node', () => {
  test('has a line of JSON for each event, and no secret', () => {
    const directory = mkdtempSync(join(tmpdir(), 'beckon-log-'));
    const path = join(directory, 'node.log');
    const file = openSync(path, 'a');
    try {
      createLog(file).warn({ peer: 'laptop', token: 'beckon1-secret' }, 'something happened');
      const [line = '', ...rest] = readFileSync(path, 'utf8').split('\n');
      expect(JSON.parse(line)).toMatchObject({ level: 'warn', peer: 'laptop', token: '[redacted]', msg: 'something happened' });
      expect(rest).toEqual(['']);
    } finally {
      closeSync(file);
      rmSync(directory, { recursive: true });
    }
  });

  test.skipIf(!existsSync(full))(`costs lines and not the node when the disk is full${existsSync(full) ? '' : ` (skipped: no ${full})`}`, () => {
    const file = openSync(full, 'a');
    try {
      const log = createLog(file);
      for (let count = 0; count < 20_000; count += 1) log.error({ count, text: 'x'.repeat(200) }, 'nobody can write this down');
    } finally {
      closeSync(file);
    }
  });
});
