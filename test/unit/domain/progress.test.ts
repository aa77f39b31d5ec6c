import fc from 'fast-check';
import { expect, test } from 'vitest';
import { bounded, longestDiff, longestThought, longestTitle, mostSteps, sizeOfProgress } from '../../../src/domain/progress.ts';
import type { Progress } from '../../../src/domain/progress.ts';

const text = fc.oneof(fc.string({ unit: 'binary', maxLength: 20 }), fc.integer({ min: longestTitle - 2, max: longestDiff + 2 }).map((length) => '\u{1f600}'.repeat(length / 2)));
const state = fc.constantFrom('pending', 'running', 'done', 'failed');
const odd = fc.constantFrom(0, 7, -1, 0.5, Number.NaN, Infinity, 2 ** 60);
const progress = fc.oneof(
  fc.record({ kind: fc.constant('tool'), call: text, title: text, tool: text, state }),
  fc.record({ kind: fc.constant('plan'), steps: fc.array(fc.record({ text, state }), { maxLength: 100 }) }),
  fc.record({ kind: fc.constant('diff'), path: text, patch: text }),
  fc.record({ kind: fc.constant('thought'), text }),
  fc.record({ kind: fc.constant('usage'), inputTokens: odd, outputTokens: odd, contextTokens: odd, contextSize: odd, cost: fc.record({ amount: odd, currency: text }) }, { requiredKeys: ['kind'] }),
) as fc.Arbitrary<Progress>;

test('whatever an agent sends is kept within bounds, as text that survives UTF-8, and bounding it again changes nothing', () => {
  fc.assert(
    fc.property(progress, (each) => {
      const kept = bounded(each);
      expect(bounded(kept)).toEqual(kept);
      expect(sizeOfProgress(kept)).toBeLessThanOrEqual(Math.max(3 * longestTitle, mostSteps * longestTitle, longestTitle + longestDiff, longestThought));
      const written = JSON.stringify(kept);
      expect(JSON.parse(Buffer.from(written).toString())).toEqual(kept);
      expect(written.isWellFormed() && !/\\ud[89a-f]/.test(written)).toBe(true);
    }),
  );
});

test('a count that is no count is left out', () => {
  expect(bounded({ kind: 'usage', inputTokens: -1, outputTokens: 2, contextSize: 0.5, cost: { amount: Number.NaN, currency: 'USD' } })).toEqual({ kind: 'usage', outputTokens: 2 });
});
