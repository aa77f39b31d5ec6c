import fc from 'fast-check';
import pc from 'picocolors';
import { expect, test } from 'vitest';
import { narrowTableLines, wrapped } from '../../../src/cli/narrow-table.ts';
import type { Output } from '../../../src/cli/output.ts';

const out = { colours: pc.createColors(false), isTerminal: true, columns: 80 } as Output;
const word = fc.string({ minLength: 1, maxLength: 30, unit: fc.constantFrom(...'abcdé😀') });

test('wrapped text has every word in order, in lines that fit', () => {
  fc.assert(
    fc.property(fc.array(word, { maxLength: 20 }), fc.integer({ min: 4, max: 60 }), (words, most) => {
      const lines = wrapped(words.join(' '), most);
      for (const line of lines) expect(Array.from(line).length).toBeLessThanOrEqual(most);
      expect(lines.join('').replaceAll(' ', '')).toBe(words.join(''));
    }),
  );
});

test('a table that is too wide loses what matters least, then its reasons go on below; nothing of them is lost', () => {
  const heads = ['name', 'state', 'source', 'why'];
  const why = 'it does not answer, and nobody else hears it either, which may be a firewall, or a lid that was closed';
  const rows = [['desktop', 'unreachable', 'member', why], ['laptop', 'alive', 'seed', 'connected']];
  const wide = narrowTableLines(out, { heads, rows, optional: ['source'] }, 200);
  expect(wide).toHaveLength(3);
  for (const columns of [30, 50, 80]) {
    const lines = narrowTableLines(out, { heads, rows, optional: ['source'] }, columns);
    expect(lines.filter((line) => line.length > columns)).toEqual([]);
    expect(lines[0]?.includes('SOURCE')).toBe(columns > 50);
    expect(lines.join(' ').replace(/\s+/g, ' ').replace(/ (desktop|laptop) .*?(?=it does)/, ' ')).toContain(why);
  }
});

test('without a terminal it is as wide as it is', () => {
  const lines = narrowTableLines({ ...out, isTerminal: false } as Output, { heads: ['a', 'why'], rows: [['x', 'y'.repeat(500)]], optional: ['a'] });
  expect(lines).toEqual(['A  WHY', `x  ${'y'.repeat(500)}`]);
});
