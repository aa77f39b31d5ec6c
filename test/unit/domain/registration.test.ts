import { expect, test } from 'vitest';
import { checkDescribed, mostDescribedBytes } from '../../../src/domain/registration.ts';

test('an agent is described in 8 KiB, in whatever part, and in bytes', () => {
  const nothing = { labels: {}, capabilities: [], description: '' };
  checkDescribed(nothing);
  checkDescribed({ ...nothing, labels: { team: 'web' }, description: 'x'.repeat(mostDescribedBytes - 20) });
  for (const described of [
    { ...nothing, description: 'x'.repeat(mostDescribedBytes + 1) },
    { ...nothing, description: 'ü'.repeat(mostDescribedBytes / 2 + 1) },
    { ...nothing, labels: { note: 'x'.repeat(mostDescribedBytes) } },
    { ...nothing, capabilities: Array.from({ length: 300 }, () => 'x'.repeat(40)) },
  ]) expect(() => checkDescribed(described)).toThrow(expect.objectContaining({ code: 'invalid', message: expect.stringContaining('more than 8192') }));
});

const plain = { labels: {}, capabilities: [], description: '' };

test.each(['a\u001b]52;c;eA==\u0007', 'a\u009b31m', 'abc\u202egnp.exe', 'one\ntwo'])('what is told of an agent is text of one line: not %j', (text) => {
  for (const described of [{ ...plain, description: text }, { ...plain, labels: { team: text } }, { ...plain, labels: { [text]: 'x' } }, { ...plain, capabilities: [text] }]) {
    expect(() => checkDescribed(described)).toThrow(expect.objectContaining({ code: 'invalid', message: expect.stringContaining('control character') }));
  }
});
