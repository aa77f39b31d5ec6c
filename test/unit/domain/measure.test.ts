import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Counts, Distribution } from '../../../src/domain/measure.ts';

describe('counts', () => {
  test('tell every label of their list, and no other', () => {
    const counts = new Counts<'a' | 'b' | 'c'>(['a', 'b']);
    counts.add('b', 3);
    counts.add('b');
    counts.add('c');
    expect(counts.entries()).toEqual([['a', 0], ['b', 4]]);
    expect([counts.of('b'), counts.of('c')]).toEqual([4, 0]);
  });

  test('over the same memory count the same', () => {
    const cells = new Float64Array(2);
    const [here, there] = [new Counts(['a', 'b'], cells), new Counts(['a', 'b'], cells)];
    here.add('b');
    there.add('b');
    expect(here.of('b')).toBe(2);
  });
});

describe('a distribution', () => {
  test('counts what equals a bound below it, and what is above all of them in none', () => {
    const seen = new Distribution([1, 10]);
    for (const value of [0, 1, 1.1, 10, 11]) seen.observe(value);
    expect(seen.read()).toEqual({ buckets: [{ upTo: 1, count: 2 }, { upTo: 10, count: 4 }], count: 5, sum: 23.1 });
  });

  test('has each value in exactly the buckets whose bound it does not exceed', () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.integer({ min: 0, max: 50 }), { minLength: 1 }), fc.array(fc.integer({ min: 0, max: 60 })), (unsorted, values) => {
        const bounds = unsorted.toSorted((a, b) => a - b);
        const seen = new Distribution(bounds);
        for (const value of values) seen.observe(value);
        const { buckets, count, sum } = seen.read();
        expect(buckets).toEqual(bounds.map((upTo) => ({ upTo, count: values.filter((value) => value <= upTo).length })));
        expect([count, sum]).toEqual([values.length, values.reduce((total, value) => total + value, 0)]);
      }),
    );
  });
});
