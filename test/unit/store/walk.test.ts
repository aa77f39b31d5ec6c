/** Several lists read as one: in order, none left out, and hardly more read than given. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { InvocationId } from '../../../src/domain/ids.ts';
import { newestOf } from '../../../src/store/walk.ts';

const idOf = (number: number): InvocationId => `inv_${String(number).padStart(6, '0')}` as InvocationId;

function listsOf(lists: readonly (readonly number[])[]) {
  const read = { rows: 0, calls: 0 };
  const reads = lists.map((numbers) => {
    const ids = numbers.toSorted((a, b) => b - a).map(idOf);
    return (before: string, count: number): InvocationId[] => {
      const page = ids.filter((id) => id < before).slice(0, count);
      read.calls += 1;
      read.rows += page.length;
      return page;
    };
  });
  return { reads, read };
}

const last = 'inv_~';

test('the newest of all lists, whichever list each is in', () => {
  const numbers = fc.uniqueArray(fc.nat(999_999), { maxLength: 200 });
  fc.assert(fc.property(numbers, fc.integer({ min: 1, max: 12 }), fc.integer({ min: 1, max: 60 }), fc.option(fc.nat(999_999), { nil: undefined }), (all, lists, count, below) => {
    const cut = Array.from({ length: lists }, (_, list) => all.filter((number) => number % lists === list));
    const before = below === undefined ? last : idOf(below);
    const expected = all.map(idOf).filter((id) => id < before).toSorted().toReversed().slice(0, count);
    expect(newestOf(listsOf(cut).reads, before, count)).toEqual(expected);
  }));
});

test('of many lists little more is read than is given, and of each at least one', () => {
  const lists = Array.from({ length: 500 }, (_, list) => Array.from({ length: 200 }, (_row, row) => row * 500 + list));
  const { reads, read } = listsOf(lists);
  expect(newestOf(reads, last, 101)).toHaveLength(101);
  expect(read.rows).toBeLessThan(500 + 3 * 101);
  const { reads: alone, read: once } = listsOf([lists[0] ?? []]);
  newestOf(alone, last, 101);
  expect(once).toEqual({ rows: 101, calls: 1 });
});

test('a list that has all of the page is read in few steps', () => {
  const { reads, read } = listsOf([Array.from({ length: 5000 }, (_, row) => 10_000 + row), ...Array.from({ length: 99 }, (_, list) => [list])]);
  expect(newestOf(reads, last, 1001)).toHaveLength(1001);
  expect(read.calls).toBeLessThan(100 + 10);
  expect(read.rows).toBeLessThan(2 * 1001 + 100);
});
