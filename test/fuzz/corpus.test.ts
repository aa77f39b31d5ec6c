/** What was found once, and what each boundary begins with, is tried again: fast, and without chance. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { boundaries } from './boundaries/index.ts';
import { corpusOf } from './corpus.ts';
import type { Boundary, Target } from './engine/boundary.ts';
import { tried, warmedUp } from './engine/trial.ts';

describe.each(Object.keys(boundaries).filter((name) => !name.startsWith('planted-')))('%s', (name) => {
  let boundary: Boundary;
  let target: Target;
  beforeAll(async () => {
    boundary = (await boundaries[name]?.()) as Boundary;
    target = await boundary.open();
    await warmedUp(target, Object.values(await boundary.seeds()));
  }, 60_000);
  afterAll(() => target.close?.());

  test('takes or refuses each input that was worth keeping, in time, and refuses without a trace', async () => {
    const inputs = [...Object.entries(await boundary.seeds()), ...corpusOf(name).map(({ name: of, input }) => [of, input] as const)];
    const finds: unknown[] = [];
    for (const [of, input] of inputs) {
      const outcome = await tried(target, input);
      if (!('find' in outcome)) continue;
      finds.push({ input: of, ...outcome.find });
      await target.renew?.();
    }
    expect(finds).toEqual([]);
    expect(inputs.length).toBeGreaterThan(0);
  }, 60_000);
});
