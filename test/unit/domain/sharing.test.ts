import { describe, expect, test } from 'vitest';
import { partyOf, partsOfShare, shareOfParts } from '../../../src/domain/sharing.ts';
import type { Share, ShareView } from '../../../src/domain/sharing.ts';
import { nodeIdFor } from '../../support/temp-store.ts';

const [laptop, studio, twin, stranger] = [nodeIdFor(1), nodeIdFor(2), nodeIdFor(3), nodeIdFor(9)];
const known: readonly ShareView[] = [
  { with: 'person', name: 'ada' },
  { with: 'person', name: 'bob' },
  { with: 'person', name: 'tag:ci' },
  { with: 'person', name: 'studio' },
  { with: 'node', name: 'laptop', nodeId: laptop },
  { with: 'node', name: 'studio', nodeId: studio },
  { with: 'node', name: 'twin', nodeId: twin },
  { with: 'node', name: 'twin', nodeId: nodeIdFor(4) },
];

describe('what stands behind --with', () => {
  test.each<[string, Share]>([
    ['bob', { with: 'person', name: 'bob' }],
    ['tag:ci', { with: 'person', name: 'tag:ci' }],
    ['laptop', { with: 'node', nodeId: laptop }],
    ['Laptop', { with: 'node', nodeId: laptop }],
    [twin, { with: 'node', nodeId: twin }],
    ['node:studio', { with: 'node', nodeId: studio }],
    ['person:studio', { with: 'person', name: 'studio' }],
    // Somebody who is still to come.
    ['person:carol', { with: 'person', name: 'carol' }],
  ])('%s', (text, share) => {
    expect(partyOf(text, known)).toEqual(share);
  });

  test.each([
    ['studio', 'ambiguous', 'person:NAME'],
    ['twin', 'ambiguous', twin],
    ['bobb', 'not_found', 'did you mean bob'],
    ['Bob', 'not_found', 'did you mean bob'],
    ['nobody-like-that', 'not_found', '--with person:NAME'],
    [stranger, 'not_found', 'known: '],
    ['node:bob', 'not_found', 'bob'],
    ['person:', 'invalid', 'leave it out'],
    ['', 'invalid', 'leave it out'],
  ])('%s is %s, and the hint says what to do', (text, code, hint) => {
    expect(() => partyOf(text, known)).toThrow(expect.objectContaining({ code, hint: expect.stringContaining(hint) }));
  });
});

test('what is stored is what is read', () => {
  for (const share of [{ with: 'all' }, { with: 'person', name: 'bob' }, { with: 'node', nodeId: studio }] as const) expect(shareOfParts(...partsOfShare(share))).toEqual(share);
});
