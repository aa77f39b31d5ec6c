import { expect, test } from 'vitest';
import { parseGossipFlag, planGossip, userspaceWhy } from '../../../src/app/gossip-plan.ts';

const at = (host: string, port: number) => ({ host, port });
const around = (changes: Partial<Parameters<typeof planGossip>[1]> = {}) => ({ bound: [at('100.64.0.1', 7423), at('fd7a::1', 7423)], isAnyPort: false, isGuarded: false, ...changes });

test('it gossips beside the network port, on each of its addresses', () => {
  expect(planGossip('auto', around())).toEqual({ bind: [at('100.64.0.1', 7424), at('fd7a::1', 7424)], mayMove: true });
  expect(planGossip('auto', around({ bound: [at('127.0.0.1', 7500), at('127.0.0.1', 7501)] })).bind).toEqual([at('127.0.0.1', 7424)]);
});

test('beside a network port that may be any, it may be any', () => {
  expect(planGossip('auto', around({ bound: [at('127.0.0.1', 40123)], isAnyPort: true })).bind).toEqual([at('127.0.0.1', 0)]);
});

test('where a person wants it, and nowhere else', () => {
  expect(planGossip(parseGossipFlag('10.0.0.7:9000'), around())).toEqual({ bind: [at('10.0.0.7', 9000)], mayMove: false });
  expect(planGossip(parseGossipFlag('10.0.0.7'), around({ isGuarded: true })).bind).toEqual([at('10.0.0.7', 7424)]);
});

test('not at all when it is off, behind a tailscaled without an interface, or where nothing listens', () => {
  expect(planGossip(parseGossipFlag('off'), around())).toMatchObject({ bind: [], why: 'it was turned off' });
  expect(planGossip(parseGossipFlag(undefined), around({ isGuarded: true }))).toMatchObject({ bind: [], why: userspaceWhy });
  expect(planGossip(parseGossipFlag('auto'), around({ bound: [] })).bind).toEqual([]);
});

test('a flag that is no place is refused, naming it', () => {
  expect(() => parseGossipFlag('10.0.0.7:99999')).toThrow(/10.0.0.7:99999/);
});
