import { expect, test } from 'vitest';
import { whereIssuersAre } from '../../../src/domain/membership.ts';
import type { Removed } from '../../../src/domain/membership.ts';

test('who can let nobody in is told which machines can, and not of those that have gone', () => {
  expect(whereIssuersAre([])).toContain('the node that made the mesh');
  const removed: Removed = { atMs: 1, by: 'ada on desktop', record: { payload: new Uint8Array(), signature: new Uint8Array() } };
  expect(whereIssuersAre([{ name: 'server' }, { name: 'laptop', isIssuer: true }, { name: 'desktop', isIssuer: true }, { name: 'stolen', isIssuer: true, removed }])).toBe('run it on one that lets others in: desktop, laptop');
});
