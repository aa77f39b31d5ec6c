import { expect, test } from 'vitest';
import { readSeeds } from '../../../src/discovery/seeds.ts';

test('seeds get the default port, and each is dialled once', () => {
  expect(readSeeds(['laptop', ' desktop:7000 ', 'laptop:7423', '[fd7a::1]'])).toEqual(['laptop:7423', 'desktop:7000', '[fd7a::1]:7423']);
});

test('a seed that is no address is named', () => {
  expect(() => readSeeds(['laptop', 'http://x'])).toThrow(expect.objectContaining({ code: 'invalid', message: expect.stringContaining('http://x') as string }));
});
