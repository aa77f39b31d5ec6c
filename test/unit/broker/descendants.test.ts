import { describe, expect, test } from 'vitest';
import { Descendants } from '../../../src/broker/descendants.ts';
import { invocationIdOf } from '../../../src/domain/ids.ts';
import type { Log } from '../../../src/domain/ports.ts';
import { silentLog } from '../../support/temp-store.ts';

const idOf = (number: number) => invocationIdOf(`01J9Z6M3T4V8Q2X7K5B1C0D9E${number}`);
const [one, two, three] = [idOf(1), idOf(2), idOf(3)];

describe('what one invocation leads to', () => {
  test('is bounded in all, a group by its members, whichever agents ask; the refusal is logged once', () => {
    const lines: unknown[] = [];
    const log: Log = { ...silentLog, warn: (fields) => void lines.push(fields) };
    const descendants = new Descendants(log, 10);
    for (let count = 0; count < 4; count += 1) descendants.take(one, 2);
    expect(() => descendants.take(one, 3)).toThrow(/has led to 8 invocations/);
    descendants.take(one, 2);
    for (let count = 0; count < 3; count += 1) expect(() => descendants.take(one, 1)).toThrow(expect.objectContaining({ code: 'conflict' }));
    expect(lines).toEqual([{ invocationId: one, count: 8 }]);
    descendants.take(two, 10);
  });

  test('what was not stored does not count, and neither does what a person asks', () => {
    const descendants = new Descendants(silentLog, 2);
    descendants.take(one, 2)();
    descendants.take(one, 2);
    for (let count = 0; count < 5; count += 1) descendants.take(undefined, 1);
  });

  test('as many roots are remembered as there is room for: the one that asked for nothing for longest is forgotten', () => {
    const descendants = new Descendants(silentLog, 2, 2);
    descendants.take(one, 1);
    descendants.take(two, 2);
    descendants.take(one, 1);
    descendants.take(three, 1);
    expect(() => descendants.take(one, 1)).toThrow('has led to 2 invocations');
    descendants.take(two, 2);
  });
});
