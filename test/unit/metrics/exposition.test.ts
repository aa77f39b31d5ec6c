import { expect, test } from 'vitest';
import { by, counter, exposition, gauge, gauges, histogram } from '../../../src/metrics/exposition.ts';

test('each family is told with its help and type, and its samples below it', () => {
  expect(exposition([counter('a_total', 'How many.', 3), by('gauge', 'b', 'By state.', 'state', [['up', 1], ['down', 0]])])).toBe(
    '# HELP a_total How many.\n# TYPE a_total counter\na_total 3\n# HELP b By state.\n# TYPE b gauge\nb{state="up"} 1\nb{state="down"} 0\n',
  );
});

test('text of others can not leave its label, nor its line', () => {
  expect(exposition([gauges('a', 'x\\y\nz', [[{ peer: 'q"u\\o\nte' }, 1]])])).toBe('# HELP a x\\\\y\\nz\n# TYPE a gauge\na{peer="q\\"u\\\\o\\nte"} 1\n');
});

test('a histogram has its bounds, the rest, sum and count', () => {
  const text = exposition([histogram('t_seconds', 'T.', { buckets: [{ upTo: 0.5, count: 1 }], count: 3, sum: 4.25 })]);
  expect(text.split('\n').slice(2, -1)).toEqual(['t_seconds_bucket{le="0.5"} 1', 't_seconds_bucket{le="+Inf"} 3', 't_seconds_sum 4.25', 't_seconds_count 3']);
});

test('numbers that are none are written as Prometheus reads them', () => {
  expect(exposition([gauge('a', 'A.', Number.NaN), gauge('b', 'B.', -Infinity)])).toMatch(/^a NaN$[^]*^b -Inf$/m);
});

test('a family of which nothing is known is left out, not told as 0', () => {
  expect(exposition([gauges('a', 'A.', [])])).toBe('');
});
