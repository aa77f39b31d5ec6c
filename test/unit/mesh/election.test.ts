import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { NodeId } from '../../../src/domain/ids.ts';
import { choose, raceMs } from '../../../src/mesh/election.ts';
import type { Claim } from '../../../src/mesh/election.ts';

const [lower, higher] = ['a' as NodeId, 'b' as NodeId];
const claim = (epoch: number, bootNonce: string, dialledBy: NodeId): Claim => ({ epoch, bootNonce, dialledBy });

describe('of two sessions with one peer', () => {
  test.each([
    ['the one of the newer epoch stays, whoever dialled', claim(1, 'x', lower), claim(2, 'y', higher), 'take_new'],
    ['one of an older epoch is a clone', claim(2, 'x', higher), claim(1, 'y', lower), 'clone'],
    ['another nonce of the same epoch is a clone', claim(1, 'x', higher), claim(1, 'y', lower), 'clone'],
    ['the one that the lower id dialled stays', claim(1, 'x', lower), claim(1, 'x', higher), 'keep_old'],
    ['the one that the lower id dialled takes over', claim(1, 'x', higher), claim(1, 'x', lower), 'take_new'],
    ['who dials again knows that the first is dead', claim(1, 'x', higher), claim(1, 'x', higher), 'take_new'],
  ] as const)('%s', (_promise, old, fresh, choice) => {
    expect(choose(old, fresh, 100)).toBe(choice);
  });

  test('one that comes long after the other is no race: whoever dialled it hears nothing on the first', () => {
    const [old, fresh] = [claim(1, 'x', lower), claim(1, 'x', higher)];
    expect(choose(old, fresh, raceMs)).toBe('keep_old');
    expect(choose(old, fresh, raceMs + 1)).toBe('take_new');
    expect(choose(old, claim(1, 'y', higher), raceMs + 1)).toBe('clone');
  });

  test('both ends keep the same one, in whatever order each sees them', () => {
    fc.assert(
      fc.property(fc.boolean(), fc.boolean(), (firstIsLower, otherOrder) => {
        const one = claim(1, 'x', firstIsLower ? lower : higher);
        const two = claim(1, 'x', firstIsLower ? higher : lower);
        const kept = (old: Claim, fresh: Claim): NodeId => (choose(old, fresh, 100) === 'take_new' ? fresh : old).dialledBy;
        expect(otherOrder ? kept(one, two) : kept(two, one)).toBe(lower);
      }),
    );
  });
});
