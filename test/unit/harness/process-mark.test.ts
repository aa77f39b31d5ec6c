import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { describe, expect, test } from 'vitest';
import { currentBootId, hasVariable, markOf, parseStatFields, startOf } from '../../../src/harness/process-mark.ts';
import { because, notLinux } from '../../support/programs.ts';

describe.skipIf(notLinux !== undefined)(`the mark of a process${because(notLinux)}`, () => {
  test('is the same each time, and another for another process', () => {
    const mark = markOf(process.pid);
    expect(mark).toEqual({ pid: process.pid, session: process.pid, startedAt: expect.stringMatching(/^\d+$/), bootId: currentBootId() });
    expect(markOf(process.pid)).toEqual(mark);
    expect(markOf(process.ppid)?.startedAt).not.toBe(mark?.startedAt);
  });

  test('one that has ended has its mark until it is waited for, and does not run', async () => {
    const child = spawn('/bin/true');
    const pid = child.pid ?? 0;
    // In this turn nobody has waited for it.
    while (startOf(pid) !== undefined);
    expect(markOf(pid)).toMatchObject({ pid, startedAt: expect.stringMatching(/^\d+$/) });
    await once(child, 'exit');
  });

  test('there is none of a process that is gone', async () => {
    const child = spawn('/bin/true');
    await once(child, 'exit');
    expect(markOf(child.pid ?? 0)).toBeUndefined();
    expect(startOf(child.pid ?? 0)).toBeUndefined();
  });

  test('the start is read right whatever the program is called', () => {
    const behind = 'S 1 7 7 0 -1 4194304 1 2 3 4 5 6 7 8 20 0 1 0 12345 99';
    expect(parseStatFields(`7 (a) Z 2 3) ${behind}`)).toEqual({ state: 'S', start: '12345' });
  });

  test('a variable is found by its whole name and value only', () => {
    const child = spawn('/bin/sleep', ['60'], { env: { FLIGHT: 'flt_1', OTHER: 'FLIGHT=flt_2' } });
    try {
      const pid = child.pid ?? 0;
      expect(hasVariable(pid, 'FLIGHT', 'flt_1')).toBe(true);
      for (const [name, value] of [['FLIGHT', 'flt_'], ['FLIGHT', 'flt_2'], ['LIGHT', 'flt_1']] as const) expect(hasVariable(pid, name, value)).toBe(false);
    } finally {
      child.kill('SIGKILL');
    }
  });
});
