import { describe, expect, test } from 'vitest';
import { unavailable } from '../../../src/domain/errors.ts';
import type { NodeId } from '../../../src/domain/ids.ts';
import type { PeerIdentity } from '../../../src/domain/trust.ts';
import { dialError } from '../../../src/mesh/dial-fault.ts';
import { Dialler } from '../../../src/mesh/dialler.ts';
import type { DialResult } from '../../../src/mesh/dialler.ts';
import { FakeClock } from '../../support/fake-clock.ts';

const desktop = 'desktop' as NodeId;
const answered = (nodeId: NodeId): DialResult => ({ kind: 'up', peer: { nodeId } as PeerIdentity });

function scene() {
  const clock = new FakeClock();
  const dials: { address: string; atMs: number }[] = [];
  const failures: string[] = [];
  const linked = new Set<NodeId>();
  const idle = new Set<NodeId>();
  const lastSeen = new Map<NodeId, number>();
  const alone = { isSo: false };
  const scripted = { dial: (_address: string): Promise<DialResult> => Promise.reject(unavailable('refused')) };
  const dialler = new Dialler({
    clock,
    random: () => 0.999,
    dial: (address) => {
      dials.push({ address, atMs: clock.monotonic() });
      return scripted.dial(address);
    },
    isSettled: (nodeId) => linked.has(nodeId),
    isIdle: (nodeId) => idle.has(nodeId),
    isAlone: () => alone.isSo,
    lastSeenMs: (nodeId) => lastSeen.get(nodeId),
    onFailure: ({ address, why }) => void failures.push(`${address}: ${why}`),
  });
  const gaps = (): number[] => dials.slice(1).map(({ atMs }, index) => atMs - (dials[index]?.atMs ?? 0));
  return { clock, alone, dials, failures, idle, linked, lastSeen, scripted, dialler, gaps };
}

describe('the dialler', () => {
  test('waits longer after each failure, up to 5 s for a seed, and tells the reason once per change', async () => {
    const { clock, dialler, failures, gaps, scripted } = scene();
    dialler.setSeeds(['a:1']);
    dialler.start();
    await clock.advance(60_000);
    expect(gaps().slice(0, 5)).toEqual([500, 999, 1998, 3996, 4995]);
    expect(Math.max(...gaps())).toBeLessThanOrEqual(5_000);
    expect(failures).toEqual(['a:1: refused']);
    scripted.dial = () => Promise.reject(unavailable('another reason'));
    await clock.advance(20_000);
    expect(failures).toEqual(['a:1: refused', 'a:1: another reason']);
    await dialler.stop();
    expect(clock.pending).toBe(0);
  });

  test('tries a node that was here within the hour at least every 2 s, one long gone every 15 s', async () => {
    const { clock, dialler, lastSeen, gaps, dials } = scene();
    lastSeen.set(desktop, clock.now());
    dialler.setAddresses(desktop, ['d:1']);
    dialler.start();
    await clock.advance(1_800_000);
    expect(Math.max(...gaps())).toBeLessThanOrEqual(2_000);
    await clock.advance(3_600_000);
    dials.length = 0;
    await clock.advance(60_000);
    expect(Math.max(...gaps())).toBeGreaterThan(10_000);
    expect(Math.max(...gaps())).toBeLessThanOrEqual(15_000);
  });

  test('leaves a node with a live link alone, and tries at once when it is woken', async () => {
    const { clock, dialler, linked, dials, scripted } = scene();
    scripted.dial = () => {
      linked.add(desktop);
      return Promise.resolve(answered(desktop));
    };
    dialler.setSeeds(['s:1']);
    dialler.start();
    await clock.advance(60_000);
    expect(dials).toHaveLength(1);
    linked.delete(desktop);
    dialler.wake(desktop);
    await clock.advance(100);
    expect(dials).toHaveLength(2);
  });

  test('looks now and then only for one that nobody waits for, and in earnest once somebody does', async () => {
    const { clock, dialler, dials, gaps, idle, lastSeen } = scene();
    lastSeen.set(desktop, clock.now());
    idle.add(desktop);
    dialler.setAddresses(desktop, ['d:1']);
    dialler.start();
    await clock.advance(1_800_000);
    expect(gaps().at(-1)).toBeGreaterThan(290_000);
    expect(dials.length).toBeLessThan(20);
    idle.delete(desktop);
    lastSeen.set(desktop, clock.now());
    dialler.wake(desktop);
    await clock.advance(60_000);
    expect(gaps().at(-1)).toBeLessThanOrEqual(2_000);
  });

  test('never dials this node again', async () => {
    const { clock, dialler, dials, scripted } = scene();
    scripted.dial = () => Promise.resolve({ kind: 'self' });
    dialler.setSeeds(['me:1']);
    dialler.start();
    await clock.advance(600_000);
    expect(dials).toHaveLength(1);
  });

  test('has at most sixteen dials under way, and gets round to all', async () => {
    const { clock, dialler, dials, scripted } = scene();
    let underWay = 0;
    let most = 0;
    scripted.dial = () => {
      underWay += 1;
      most = Math.max(most, underWay);
      return new Promise((_resolve, reject) =>
        clock.setTimer(3000, () => {
          underWay -= 1;
          reject(unavailable('silent'));
        }),
      );
    };
    dialler.setSeeds(Array.from({ length: 50 }, (_, index) => `s${index}:1`));
    dialler.start();
    await clock.advance(15_000);
    expect(most).toBe(16);
    expect(new Set(dials.map(({ address }) => address)).size).toBe(50);
  });

  test('an address that somebody else claims too is not dialled for it again and again', async () => {
    const { clock, dialler, dials, scripted, linked } = scene();
    linked.add(desktop);
    scripted.dial = () => Promise.resolve(answered(desktop));
    dialler.setAddresses(desktop, ['d:1']);
    dialler.setAddresses('liar' as NodeId, ['d:1']);
    dialler.start();
    await clock.advance(120_000);
    expect(dials).toHaveLength(1);
  });

  test('forgets addresses that nobody names any more', async () => {
    const { clock, dialler, dials } = scene();
    dialler.setAddresses(desktop, ['old:1']);
    dialler.start();
    await clock.advance(100);
    dialler.setAddresses(desktop, ['new:1']);
    dials.length = 0;
    await clock.advance(30_000);
    expect(new Set(dials.map(({ address }) => address))).toEqual(new Set(['new:1']));
  });

  test('one try now joins the try that is under way', async () => {
    const { dialler, dials, scripted, clock } = scene();
    dialler.setAddresses(desktop, ['d:1']);
    dialler.start();
    await clock.advance(10);
    dials.length = 0;
    let finish = (): void => undefined;
    scripted.dial = () => new Promise((resolve) => (finish = () => resolve(answered(desktop))));
    const both = Promise.all([dialler.dialNow(desktop), dialler.dialNow(desktop)]);
    finish();
    expect(await both).toEqual([true, true]);
    expect(dials).toHaveLength(1);
    expect(await dialler.dialNow('nobody' as NodeId)).toBe(false);
  });

  test('a node without any link tries one address or another all the time, however long nobody was seen', async () => {
    const { clock, dialler, alone, gaps, dials } = scene();
    for (let index = 0; index < 10; index += 1) dialler.setAddresses(`node${index}` as NodeId, [`d${index}:1`]);
    dialler.start();
    await clock.advance(600_000);
    dials.length = 0;
    await clock.advance(60_000);
    const usual = dials.length;
    alone.isSo = true;
    dialler.wake();
    await clock.advance(60_000);
    dials.length = 0;
    await clock.advance(60_000);
    expect(usual).toBeLessThan(50);
    expect(dials.length).toBeGreaterThan(100);
    expect(Math.max(...gaps())).toBeLessThanOrEqual(5_000);
  });

  test('an address that another node knows is tried besides a node’s own, of which there are sixteen at most', async () => {
    const { dialler, dials } = scene();
    dialler.setAddresses(desktop, ['d:1']);
    dialler.hint(desktop, ['d:1', ...Array.from({ length: 40 }, (_, index) => `h${index}:1`)]);
    expect(dialler.targetsOf(desktop)).toHaveLength(16);
    await dialler.dialNow(desktop);
    expect(dials).toHaveLength(16);
    dialler.setAddresses(desktop, ['e:1']);
    expect(dialler.targetsOf(desktop).map(({ address }) => address)).toEqual(['e:1']);
  });

  test('what failed is known with its kind', async () => {
    const { dialler, scripted } = scene();
    scripted.dial = (address) => Promise.reject(dialError(address, 'connect ECONNREFUSED 10.0.0.1:1'));
    dialler.setAddresses(desktop, ['d:1']);
    await dialler.dialNow(desktop);
    expect(dialler.targetsOf(desktop)).toMatchObject([{ failures: 1, fault: 'refused', why: 'd:1 refuses the connection: no node listens there (ECONNREFUSED)' }]);
  });
});
