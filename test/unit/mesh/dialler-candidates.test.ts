import { describe, expect, test } from 'vitest';
import { unavailable } from '../../../src/domain/errors.ts';
import type { NodeId } from '../../../src/domain/ids.ts';
import type { PeerIdentity } from '../../../src/domain/trust.ts';
import { Dialler } from '../../../src/mesh/dialler.ts';
import type { DialResult } from '../../../src/mesh/dialler.ts';
import { FakeClock } from '../../support/fake-clock.ts';

const desktop = 'desktop' as NodeId;

interface Dialled {
  readonly address: string;
  readonly atMs: number;
  readonly lookMs: number | undefined;
}

function scene() {
  const clock = new FakeClock();
  const dials: Dialled[] = [];
  const linked = new Set<NodeId>();
  const lastSeen = new Map<NodeId, number>();
  /** Who lives where; all others swallow what they are sent. */
  const alive = new Map<string, NodeId>();
  const dialler = new Dialler({
    clock,
    random: () => 0.999,
    dial: (address, lookMs): Promise<DialResult> => {
      dials.push({ address, atMs: clock.monotonic(), lookMs });
      const nodeId = alive.get(address);
      if (nodeId === undefined) return new Promise((_resolve, reject) => clock.setTimer(lookMs ?? 3_000, () => reject(unavailable('nothing answers there'))));
      linked.add(nodeId);
      return Promise.resolve({ kind: 'up', peer: { nodeId } as PeerIdentity });
    },
    isSettled: (nodeId) => linked.has(nodeId),
    isIdle: () => false,
    isAlone: () => false,
    lastSeenMs: (nodeId) => lastSeen.get(nodeId),
    onFailure: () => undefined,
  });
  const at = (address: string): Dialled[] => dials.filter((each) => each.address === address);
  return { clock, dials, linked, lastSeen, alive, dialler, at };
}

const found = (...addresses: readonly string[]) => addresses.map((address) => ({ addresses: [address], isOnline: true }));

describe('candidates that discovery found', () => {
  test.each(['seed', 'tailnet'])('of 200 that are named by %s, 195 of them black holes, the five real ones are linked within 3 s', async (source) => {
    const { clock, dialler, alive, linked, dials } = scene();
    const addresses = Array.from({ length: 200 }, (_, index) => `c${index}:7423`);
    for (const index of [16, 57, 110, 164, 199]) alive.set(`c${index}:7423`, `node${index}` as NodeId);
    dialler.setCandidates(source, found(...addresses));
    dialler.start();
    await clock.advance(3_000);
    expect(linked.size).toBe(5);
    // Each black hole had its first look, short; later ones get longer.
    await clock.advance(120_000);
    expect(Math.max(...dials.map(({ lookMs = 0 }) => lookMs))).toBe(3_000);
  });

  test('once they were tried in vain they are left nearly in peace: at most four tries a second of all together', async () => {
    for (const source of ['seed', 'tailnet']) {
      const { clock, dialler, dials } = scene();
      dialler.setCandidates(source, found(...Array.from({ length: 195 }, (_, index) => `c${index}:7423`)));
      dialler.start();
      await clock.advance(900_000);
      dials.length = 0;
      await clock.advance(600_000);
      expect(dials.length).toBeLessThan(4 * 600 * 1.1);
      expect(dials.length).toBeGreaterThan(195);
    }
  });

  test('a few are tried with full patience at once', async () => {
    const { clock, dialler, dials } = scene();
    dialler.setCandidates('tailnet', found('a:1', 'b:1'));
    dialler.start();
    await clock.advance(10);
    expect(dials.map(({ lookMs }) => lookMs)).toEqual([undefined, undefined]);
  });

  test('a machine with several addresses is one target, tried at them in turn', async () => {
    const { clock, dialler, dials } = scene();
    dialler.setCandidates('tailnet', [{ addresses: ['4:1', '6:1'], isOnline: true }]);
    dialler.start();
    await clock.advance(60_000);
    expect(dials.slice(0, 4).map(({ address }) => address)).toEqual(['4:1', '6:1', '4:1', '6:1']);
    expect(dialler.targets()).toHaveLength(1);
  });

  test('an address that two sources and a member name is one target, and stays while one of them names it', async () => {
    const { clock, dialler } = scene();
    dialler.setCandidates('tailnet', found('a:1'));
    dialler.setCandidates('api', found('a:1'));
    dialler.setAddresses(desktop, ['a:1']);
    expect(dialler.targets()).toMatchObject([{ address: 'a:1', sources: ['tailnet', 'api'], nodes: [desktop], isSeed: false }]);
    dialler.setCandidates('tailnet', []);
    dialler.setAddresses(desktop, []);
    expect(dialler.targets()).toHaveLength(1);
    dialler.setCandidates('api', []);
    expect(dialler.targets()).toEqual([]);
    await clock.advance(0);
  });

  test('one that is offline is tried three times, then not before it is online: at once then', async () => {
    const { clock, dialler, at } = scene();
    dialler.setCandidates('tailnet', [{ addresses: ['a:1'], isOnline: false }]);
    dialler.start();
    await clock.advance(3_600_000);
    expect(at('a:1')).toHaveLength(3);
    dialler.setCandidates('tailnet', found('a:1'));
    await clock.advance(200);
    expect(at('a:1')).toHaveLength(4);
  });

  test('a member is tried on whatever the tailnet says of it, and at once when it comes online', async () => {
    const { clock, dialler, at } = scene();
    dialler.setAddresses(desktop, ['a:1']);
    dialler.setCandidates('tailnet', [{ addresses: ['a:1'], isOnline: false }]);
    dialler.start();
    await clock.advance(300_000);
    const tries = at('a:1').length;
    expect(tries).toBeGreaterThan(15);
    await clock.advance(4_000);
    dialler.setCandidates('tailnet', found('a:1'));
    await clock.advance(200);
    expect(at('a:1').length).toBeGreaterThan(tries);
  });

  test('those who were here lately come before those who never answered', async () => {
    const { clock, dialler, dials, lastSeen } = scene();
    dialler.setCandidates('tailnet', found(...Array.from({ length: 100 }, (_, index) => `c${index}:1`)));
    lastSeen.set(desktop, clock.now());
    dialler.setAddresses(desktop, ['d:1']);
    dialler.start();
    await clock.advance(300);
    expect(dials.findIndex(({ address }) => address === 'd:1')).toBe(16);
  });
});
