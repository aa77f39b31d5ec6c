/** A fuzzer that finds nothing is trusted only if it finds what was put there for it. */
import { expect, test } from 'vitest';
import { campaign } from './engine/campaign.ts';
import { minimised } from './engine/minimise.ts';

const run = (boundary: string, inputs: number): ReturnType<typeof campaign> => campaign({ boundary, seed: 1, inputs, signal: new AbortController().signal, deaths: 1 });
const texts = (input: Uint8Array): string => Buffer.from(input).toString('latin1');

test.each([
  ['planted-crash', 'crash', /^beckonkey=<7..?$/s],
  ['planted-state', 'state', /^beckonkey=<7$/],
])('%s is found, and its input made small', async (name, kind, smallest) => {
  const { finds } = await run(name, 12_000);
  expect(finds.map((each) => each.kind)).toContain(kind);
  expect(texts(finds[0]?.input ?? new Uint8Array(0))).toMatch(smallest);
});

test.each([['planted-hang', 'hang'], ['planted-exit', 'crash'], ['planted-rejection', 'crash']])('%s, which ends its process, is known by its input', async (name, kind) => {
  const { finds } = await run(name, 60_000);
  expect(finds[0]?.kind).toBe(kind);
  expect(texts(finds[0]?.input ?? new Uint8Array(0))).toMatch(/^beckon[^]*key=<7/);
}, 120_000);

test('growth is found', async () => {
  const { finds } = await run('planted-growth', 6_000);
  expect(finds.map((each) => each.kind)).toContain('growth');
});

test('the same seed finds the same', async () => {
  const [one, two] = [await run('planted-state', 3_000), await run('planted-state', 3_000)];
  expect({ ...one, ms: 0 }).toEqual({ ...two, ms: 0 });
});

test('an input is made as small as it can be', async () => {
  const smallest = await minimised(Buffer.from('....A......B...'), (candidate) => Promise.resolve(/A[^]*B/.test(texts(candidate))), 1_000);
  expect(texts(smallest)).toBe('AB');
});
