import { describe, expect, test } from 'vitest';
import { unavailable } from '../../../src/domain/errors.ts';
import type { PeerAnswer } from '../../../src/domain/messages.ts';
import type { NodeId } from '../../../src/domain/ids.ts';
import type { PeerIdentity } from '../../../src/domain/trust.ts';
import { restWords } from '../../../src/domain/peer.ts';
import { Detector } from '../../../src/mesh/detector.ts';
import type { WatchedLink } from '../../../src/mesh/detector.ts';
import type { TargetView } from '../../../src/mesh/dialler.ts';
import type { DialFault } from '../../../src/mesh/dial-fault.ts';
import { PeerTable } from '../../../src/mesh/peers.ts';
import { FakeClock } from '../../support/fake-clock.ts';

const log = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };
type Reach = Extract<PeerAnswer, { type: 'reach' }>;

/** A link as a test has it: silent from `fallSilent` on, and a witness that answers what it is told to. */
class FakeLink implements WatchedLink {
  readonly peer: PeerIdentity;
  epoch = 1;
  heardMs = 0;
  graceMs = 0;
  isSilent = false;
  isOld = false;
  says: () => Promise<Partial<Reach>> = () => Promise.resolve({ reached: false });
  readonly asked: string[] = [];
  readonly introduced: string[] = [];
  readonly #clock: FakeClock;

  constructor(name: string, clock: FakeClock) {
    this.peer = { nodeId: name as NodeId, name } as PeerIdentity;
    this.#clock = clock;
  }

  get silentMs(): number {
    return this.#clock.monotonic() - Math.max(this.heardMs, this.graceMs);
  }

  can(): boolean {
    return !this.isOld;
  }

  async ask(query: { readonly type: string; readonly nodeId?: NodeId }): Promise<never> {
    this.asked.push(String(query.nodeId));
    return { type: 'reach', reached: false, epoch: 0, ...(await this.says()) } as never;
  }

  introduce(nodeId: NodeId): void {
    this.introduced.push(nodeId);
  }
}

function scene(...names: readonly string[]) {
  const clock = new FakeClock();
  const moves: string[] = [];
  const peers = new PeerTable(clock, ({ name, state }, from) => void (from === undefined || moves.push(`${clock.monotonic() / 1000} ${name} ${state}`)));
  const links = new Map<NodeId, FakeLink>();
  const tries = new Map<NodeId, TargetView[]>();
  const redialled: string[] = [];
  const idle = new Set<NodeId>();
  const detector = new Detector({
    clock,
    random: () => 0.5,
    log,
    peers,
    links: () => links,
    tries: (nodeId) => tries.get(nodeId) ?? [],
    needs: (nodeId) => !idle.has(nodeId),
    redial: (nodeId) => void redialled.push(nodeId),
    giveUp: (nodeId, why) => lose(nodeId, why),
  });
  const lose = (nodeId: string, why: string, how: object = {}): void => {
    const link = links.get(nodeId as NodeId);
    links.delete(nodeId as NodeId);
    if (link !== undefined) detector.ended(link.peer, { why, wasUp: true, ...how });
  };
  const link = (name: string): FakeLink => {
    const made = links.get(name as NodeId) ?? new FakeLink(name, clock);
    made.heardMs = clock.monotonic();
    links.set(made.peer.nodeId, made);
    peers.discovered(made.peer, 'member');
    detector.linked(made.peer);
    return made;
  };
  const all = names.map(link);
  moves.length = 0;
  const tick = async (lateMs = 0, isGrace = false): Promise<void> => {
    for (const each of links.values()) if (!each.isSilent) each.heardMs = clock.monotonic();
    if (isGrace) for (const each of links.values()) each.graceMs = clock.monotonic();
    detector.tick({ isGrace, lateMs });
    await Promise.resolve();
    await Promise.resolve();
    await Promise.resolve();
  };
  const run = async (seconds: number): Promise<void> => {
    for (let passed = 0; passed < seconds; passed += 1) {
      await clock.advance(1000);
      await tick();
    }
  };
  const failing = (nodeId: string, fault: DialFault, why: string): void =>
    void tries.set(nodeId as NodeId, [{ address: 'd:1', alternatives: [], isSeed: false, sources: [], nodes: [], why, sinceMs: 0, failures: 1, fault, isSelf: false }]);
  const view = (name: string) => peers.views().find((each) => each.name === name);
  return { clock, moves, links, tries, redialled, idle, detector, lose, link, all, tick, run, failing, view };
}

describe('a silent link', () => {
  test('makes a suspect after 9 s, redialled at once, and is given up 9 s later when nobody else can be asked', async () => {
    const { all, run, moves, redialled, view } = scene('desktop');
    for (const each of all) each.isSilent = true;
    await run(9);
    expect(moves).toEqual(['9 desktop suspect']);
    expect(view('desktop')?.why).toBe('nothing heard for 9 s');
    expect(redialled).toEqual(['desktop']);
    await run(20);
    expect(moves).toEqual(['9 desktop suspect', '18 desktop unreachable']);
    expect(view('desktop')?.why).toBe('nothing heard for 18 s');
  });

  test('is given up after 3 s more when all that were asked do not hear it either, and they are named', async () => {
    const { all, run, moves, view } = scene('desktop', 'laptop', 'server', 'tablet');
    const [desktop, ...others] = all;
    if (desktop !== undefined) desktop.isSilent = true;
    await run(30);
    expect(moves).toEqual(['9 desktop suspect', '12 desktop unreachable']);
    expect(view('desktop')?.why).toMatch(/^nothing heard for 12 s, and (laptop|server|tablet), (laptop|server|tablet) and (laptop|server|tablet) do not hear it either$/);
    expect(others.every(({ asked }) => asked.length > 0)).toBe(true);
  });

  test('has the longest time while somebody hears it, who is named and asked to introduce this node', async () => {
    const { all, run, moves, view } = scene('desktop', 'laptop', 'server', 'tablet');
    const [desktop, laptop] = all;
    if (desktop !== undefined) desktop.isSilent = true;
    if (laptop !== undefined) laptop.says = () => Promise.resolve({ reached: true, epoch: 1 });
    await run(12);
    expect(view('desktop')).toMatchObject({ state: 'suspect', why: 'nothing heard for 9 s, but laptop reaches it' });
    expect(laptop?.introduced).toContain('desktop');
    await run(6);
    expect(moves).toEqual(['9 desktop suspect', '18 desktop unreachable']);
    expect(view('desktop')?.why).toContain('but laptop reaches it');
  });

  test('that speaks again is alive at once, and nobody moved more than there and back', async () => {
    const { all, run, moves } = scene('desktop', 'laptop');
    const [desktop] = all;
    if (desktop === undefined) throw new Error('no desktop');
    desktop.isSilent = true;
    await run(10);
    desktop.isSilent = false;
    await run(20);
    expect(moves).toEqual(['9 desktop suspect', '11 desktop alive']);
  });

  test('of a boot that is over is closed as soon as another member knows the new one', async () => {
    const { all, run, moves, links, view } = scene('desktop', 'laptop');
    const [desktop, laptop] = all;
    if (desktop !== undefined) desktop.isSilent = true;
    if (laptop !== undefined) laptop.says = () => Promise.resolve({ reached: true, epoch: 2 });
    await run(10);
    expect(links.has('desktop' as NodeId)).toBe(false);
    expect(moves).toEqual(['9 desktop suspect']);
    expect(view('desktop')?.why).toMatch(/laptop reaches it/);
  });

  test('is not suspected any sooner or later by what witnesses fail to say', async () => {
    const { all, run, moves } = scene('desktop', 'laptop', 'server');
    const [desktop, laptop, server] = all;
    if (desktop !== undefined) desktop.isSilent = true;
    if (laptop !== undefined) laptop.says = () => Promise.reject(unavailable('gone'));
    if (server !== undefined) server.isOld = true;
    await run(30);
    expect(moves).toEqual(['9 desktop suspect', '18 desktop unreachable']);
    expect(server?.asked).toEqual([]);
  });
});

describe('a lost link', () => {
  test('makes a suspect when dialling has not helped at once, unreachable 9 s later, alive when it is linked again', async () => {
    const { lose, run, moves, link } = scene('desktop');
    lose('desktop', 'the peer closed the connection');
    await run(10);
    link('desktop');
    await run(9);
    expect(moves).toEqual(['1 desktop suspect', '10 desktop unreachable', '10 desktop alive']);
  });

  test.each(['the connection was reset', 'the peer has another one'])('that is made anew at once was none: %s', async (why) => {
    const { clock, lose, tick, run, moves, link } = scene('desktop');
    lose('desktop', why, why.includes('another') ? { farewell: 'replaced', saidBy: 'peer' } : {});
    await clock.advance(900);
    await tick();
    link('desktop');
    await run(20);
    expect(moves).toEqual([]);
  });

  test('is given up 3 s later when the machine refuses connections at every address', async () => {
    const { lose, run, moves, failing, view } = scene('desktop');
    lose('desktop', 'the peer closed the connection');
    failing('desktop', 'refused', 'd:1 refuses the connection: no node listens there (ECONNREFUSED)');
    await run(5);
    expect(moves).toEqual(['1 desktop suspect', '4 desktop unreachable']);
    expect(view('desktop')?.why).toBe('d:1 refuses the connection: no node listens there (ECONNREFUSED)');
  });

  test('with a goodbye is unreachable at once and says so, whatever dialling finds later', async () => {
    const { lose, run, moves, failing, view, all } = scene('desktop', 'laptop');
    lose('desktop', 'this node is stopping', { farewell: 'stopping', saidBy: 'peer' });
    failing('desktop', 'refused', 'd:1 refuses');
    await run(5);
    expect(moves).toEqual(['0 desktop suspect', '0 desktop unreachable']);
    expect(view('desktop')?.why).toBe('its node was stopped');
    expect(all[1]?.introduced).toEqual([]);
  });

  test('of a node that left the mesh is left, and stays so', async () => {
    const { lose, run, failing, view } = scene('desktop');
    lose('desktop', 'this node left the mesh', { farewell: 'left', saidBy: 'peer' });
    failing('desktop', 'silent', 'd:1 does not answer');
    await run(60);
    expect(view('desktop')).toMatchObject({ state: 'left', why: 'it left the mesh' });
  });

  test('to an incompatible node keeps saying so, until nothing answers there any more', async () => {
    const { lose, run, failing, view } = scene('desktop');
    lose('desktop', 'desktop runs Beckon 9', { farewell: 'incompatible', saidBy: 'here' });
    failing('desktop', 'incompatible', 'desktop runs Beckon 9');
    await run(30);
    expect(view('desktop')).toMatchObject({ state: 'incompatible', why: 'desktop runs Beckon 9' });
    failing('desktop', 'silent', 'd:1 does not answer');
    await run(2);
    expect(view('desktop')).toMatchObject({ state: 'unreachable', why: 'd:1 does not answer' });
  });

  test('while others reach the node: they are asked for introductions again and again, seldom', async () => {
    const { lose, run, all, failing } = scene('desktop', 'laptop');
    const laptop = all[1];
    if (laptop !== undefined) laptop.says = () => Promise.resolve({ reached: true, epoch: 1 });
    lose('desktop', 'reset');
    failing('desktop', 'silent', 'd:1 does not answer');
    await run(80);
    expect(laptop?.introduced).toHaveLength(5);
    await run(600);
    expect(laptop?.introduced.length).toBeLessThan(20);
  });

  test('and nobody waits for it: what it says by way of others is enough to take it for up', async () => {
    const { lose, run, failing, view, detector, tries } = scene('desktop', 'laptop');
    lose('desktop', 'reset');
    failing('desktop', 'silent', 'd:1 does not answer');
    await run(20);
    expect(view('desktop')).toMatchObject({ state: 'unreachable' });
    detector.vouched('desktop' as NodeId);
    tries.clear();
    await run(60);
    expect(view('desktop')).toMatchObject({ state: 'discovered', why: restWords });
  });

  test('and nobody waits for it: nobody is asked any more once it is given up', async () => {
    const { lose, run, all, failing, idle } = scene('desktop', 'laptop');
    const laptop = all[1];
    if (laptop !== undefined) laptop.says = () => Promise.resolve({ reached: true, epoch: 1 });
    idle.add('desktop' as NodeId);
    lose('desktop', 'reset');
    failing('desktop', 'silent', 'd:1 does not answer');
    await run(20);
    const asked = laptop?.introduced.length ?? 0;
    expect(asked).toBeGreaterThan(0);
    await run(600);
    expect(laptop?.introduced).toHaveLength(asked);
    idle.clear();
    await run(2);
    expect(laptop?.introduced).toHaveLength(asked + 1);
  });
});

describe('a node that stood still itself', () => {
  test('suspects nobody for its links that are silent or lost meanwhile, before they had 8 s to come back', async () => {
    const { clock, lose, run, tick, moves, link } = scene('desktop', 'laptop', 'server');
    await clock.advance(60_000);
    await tick(59_000, true);
    lose('desktop', 'the peer closed the connection');
    lose('laptop', 'the peer closed the connection');
    await run(5);
    link('laptop');
    await run(2);
    expect(moves).toEqual([]);
    await run(30);
    expect(moves).toEqual(['68 desktop suspect', expect.stringMatching(/^7\d desktop unreachable$/)]);
  });

  test('goes on from where it was with those that were suspect before, and calls nobody alive without a sign', async () => {
    const { all, clock, run, tick, moves } = scene('desktop');
    for (const each of all) each.isSilent = true;
    await run(10);
    await clock.advance(60_000);
    await tick(59_000, true);
    await run(7);
    expect(moves).toEqual(['9 desktop suspect']);
    await run(20);
    expect(moves).toEqual(['9 desktop suspect', expect.stringMatching(/^\d+ desktop unreachable$/)]);
  });

  test('whose own ticks come late waits longer before it suspects', async () => {
    const { all, clock, tick, moves } = scene('desktop', 'laptop');
    const [desktop] = all;
    if (desktop !== undefined) desktop.isSilent = true;
    for (let passed = 0; passed < 12; passed += 2) {
      await clock.advance(2_000);
      await tick(1_000);
    }
    expect(moves).toEqual([]);
    await clock.advance(2_000);
    await tick(1_000);
    expect(moves).toEqual(['14 desktop suspect']);
  });

  test('that hears nobody at all has all unreachable within 25 s', async () => {
    const { all, run, moves } = scene('desktop', 'laptop', 'server', 'tablet');
    for (const each of all) each.isSilent = true;
    await run(40);
    expect(moves).toHaveLength(8);
    for (const move of moves) expect(Number.parseInt(move, 10)).toBeLessThanOrEqual(25);
  });
});

test('help is asked for at once when somebody waits for a node', async () => {
  const { detector, all, tick, lose } = scene('desktop', 'laptop');
  const laptop = all[1];
  if (laptop !== undefined) laptop.says = () => Promise.resolve({ reached: true, epoch: 1 });
  lose('desktop', 'reset');
  detector.help('desktop' as NodeId);
  await tick();
  expect(laptop?.introduced[0]).toBe('desktop');
});
