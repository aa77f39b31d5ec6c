import { expect, test } from 'vitest';
import type { FlightStanding } from '../../../src/domain/observation.ts';
import { unknownWithout } from '../../../src/domain/trace-gaps.ts';
import { nodeIdFor } from '../../support/temp-store.ts';

const standing: FlightStanding = { originNodeId: nodeIdFor(1), ownerNodeId: nodeIdFor(2), state: 'queued', run: 0, lastSeq: 0, acceptedAtMs: 1, cancelRequested: false };
const owner = { isOrigin: false, isOwner: true };
const origin = { isOrigin: true, isOwner: false };

test.each<[string, Partial<FlightStanding> | undefined, string]>([
  ['the origin neither', undefined, 'whether it arrived, started or ended'],
  ['sent, no receipt', {}, 'whether it was received'],
  ['received', { receivedAtMs: 2 }, 'whether it has started'],
  ['running', { receivedAtMs: 2, startedAtMs: 3, state: 'running', run: 1 }, 'how far it has come since its last word'],
  ['ended by its owner’s word', { startedAtMs: 3, state: 'completed', verdictBy: 'owner', run: 1 }, 'the end is its own word'],
  ['indeterminate', { startedAtMs: 3, state: 'indeterminate', verdictBy: 'origin', run: 1 }, 'whether it ran, and to what end'],
  ['given up at the origin', { state: 'expired', verdictBy: 'origin' }, 'although it was given up here'],
])('without the owner, and %s: what is not known is named, and nothing that is', (_name, change, words) => {
  const unknown = unknownWithout(owner, change === undefined ? undefined : { ...standing, ...change }).join('; ');
  expect(unknown).toContain(words);
  if (change?.verdictBy === 'owner') expect(unknown).not.toContain('whether it has ended');
});

test('without the origin: who asked and how it ended for them, unless the owner can say', () => {
  expect(unknownWithout(origin, undefined).join('; ')).toContain('who asked for it');
  expect(unknownWithout(origin, { ...standing, state: 'running' }).join('; ')).not.toContain('who asked');
  expect(unknownWithout(origin, { ...standing, state: 'completed', verdictBy: 'owner' }).join('; ')).toContain('told of the end');
});

test('without the only node there was: all of it', () => {
  expect(unknownWithout({ isOrigin: true, isOwner: true }, undefined)).toHaveLength(1);
});
