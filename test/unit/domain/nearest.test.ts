import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseAddress } from '../../../src/domain/address.ts';
import { fewOf, nearestAddresses, nearestNames } from '../../../src/domain/nearest.ts';

const known = ['@fabric@laptop#main', '@fabric@laptop#feature-x', '@fabric@desktop#main', '@loom@laptop#main', '@weaver@server#main'];

describe('nearest addresses', () => {
  test.each([
    ['@fabirc@laptop#main', ['@fabric@laptop#main', '@fabric@laptop#feature-x', '@fabric@desktop#main', '@loom@laptop#main']],
    ['@fabric@lptop#main', ['@fabric@laptop#main', '@fabric@laptop#feature-x', '@fabric@desktop#main']],
    ['@fabric@laptop#feature-y', ['@fabric@laptop#feature-x', '@fabric@laptop#main', '@fabric@desktop#main']],
    ['@fabric@laptop#Main', ['@fabric@laptop#main', '@fabric@laptop#feature-x', '@fabric@desktop#main']],
    ['@fab', ['@fabric@desktop#main', '@fabric@laptop#feature-x', '@fabric@laptop#main']],
    ['@loon', ['@loom@laptop#main']],
    ['@zebra@server#main', ['@weaver@server#main']],
    ['@zebra', []],
    ['@x', []],
  ])('of %s', (wanted, nearest) => {
    expect(nearestAddresses(parseAddress(wanted), known)).toEqual(nearest);
  });

  test('are five at most, each once, whatever the order of what is known', () => {
    const many = Array.from({ length: 30 }, (_, index) => `@fabric@node-${index}#main`);
    const five = nearestAddresses(parseAddress('fabrik'), [...many, ...many]);
    expect(five).toHaveLength(5);
    expect(new Set(five).size).toBe(5);
    fc.assert(fc.property(fc.shuffledSubarray(many, { minLength: many.length }), (shuffled) => {
      expect(nearestAddresses(parseAddress('fabrik'), shuffled)).toEqual(five);
    }));
  });

  test('a difference of case only is nearer than any other', () => {
    expect(nearestAddresses(parseAddress('fabric#Main'), ['@fabric@laptop#Mai', '@fabric@laptop#main'])).toEqual(['@fabric@laptop#main', '@fabric@laptop#Mai']);
  });

  test('without the cut-off there is always one when one is known', () => {
    expect(nearestAddresses(parseAddress('zzzzzz'), known, { limit: 2, anyDistance: true })).toHaveLength(2);
    expect(nearestAddresses(parseAddress('zzzzzz'), [], { anyDistance: true })).toEqual([]);
  });
});

test('nearest names are those a few typing errors away', () => {
  expect(nearestNames('lptop', ['laptop', 'desktop', 'server', 'laptop'])).toEqual(['laptop']);
  expect(nearestNames('srever', ['laptop', 'server', 'servers'])).toEqual(['server']);
  expect(nearestNames('q', ['laptop'])).toEqual([]);
});

test('of many names eight are given, and how many more there are', () => {
  const names = Array.from({ length: 10 }, (_, index) => `n${index}`);
  expect(fewOf(names.slice(0, 8))).toBe('n0, n1, n2, n3, n4, n5, n6, n7');
  expect(fewOf(names)).toBe('n0, n1, n2, n3, n4, n5, n6, n7 and 2 more');
});
