import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { NodeId } from '../../../src/domain/ids.ts';
import { choose, raceMs } from '../../../src/mesh/election.ts';
import type { Claim } from '../../../src/mesh/election.ts';

const [lower, higher] = ['a' as NodeId, 'b' as NodeId];
const claim = (bootNonce: string, dialledBy: NodeId): Claim => ({ bootNonce, dialledBy });

describe('of two sessions with one peer', () => {
  test.each([
    ['one of another boot is neither taken nor refused before the old one was asked', claim('x', lower), claim('y', higher), 'other_boot'],
    ['the one that the lower id dialled stays', claim('x', lower), claim('x', higher), 'keep_old'],
    ['the one that the lower id dialled takes over', claim('x', higher), claim('x', lower), 'take_new'],
    ['who dials again knows that the first is dead', claim('x', higher), claim('x', higher), 'take_new'],
  ] as const)('%s', (_promise, old, fresh, choice) => {
    expect(choose(old, fresh, 100)).toBe(choice);
  });

  test('one that comes long after the other is no race: whoever dialled it hears nothing on the first', () => {
    const [old, fresh] = [claim('x', lower), claim('x', higher)];
    expect(choose(old, fresh, raceMs)).toBe('keep_old');
    expect(choose(old, fresh, raceMs + 1)).toBe('take_new');
    expect(choose(old, claim('y', higher), raceMs + 1)).toBe('other_boot');
  });

  test('both ends keep the same one, in whatever order each sees them', () => {
    fc.assert(
      fc.property(fc.boolean(), fc.boolean(), (firstIsLower, otherOrder) => {
        const one = claim('x', firstIsLower ? lower : higher);
        const two = claim('x', firstIsLower ? higher : lower);
        const kept = (old: Claim, fresh: Claim): NodeId => (choose(old, fresh, 100) === 'take_new' ? fresh : old).dialledBy;
        expect(otherOrder ? kept(one, two) : kept(two, one)).toBe(lower);
      }),
    );
  });
});
