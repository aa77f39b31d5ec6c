import { expect, test } from 'vitest';
import { isHeavy } from '../../../../src/harness/acp/weight.ts';

const line = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));
const size = 4 * 1024 * 1024;

test.each([
  ['nested arrays', Buffer.from('['.repeat(size) + ']'.repeat(size))],
  ['empty arrays', Buffer.from(`[${'[],'.repeat(size / 3)}1]`)],
  ['numbers', Buffer.from(`[${'1,'.repeat(size / 2)}1]`)],
  ['many names', line(Object.fromEntries(Array.from({ length: 300_000 }, (_, index) => [index.toString(36), 1])))],
  ['short texts', line(Array.from({ length: 300_000 }, () => '"'))],
])('a line of %s is not parsed', (_what, bytes) => {
  expect(isHeavy(bytes)).toBe(true);
});

test.each([
  ['text of brackets and commas', line({ text: '[{,:'.repeat(size / 4) })],
  ['text of quotes and backslashes', line({ text: '\\"[,'.repeat(size / 4) })],
  ['a few thousand values', line(Array.from({ length: 5_000 }, (_, index) => ({ path: `file-${index}`, line: index, text: 'x'.repeat(100) })))],
  ['nothing but an open text', Buffer.from(`"${'[,'.repeat(size)}`)],
])('a line of %s is', (_what, bytes) => {
  expect(isHeavy(bytes)).toBe(false);
});
