/** tail, report, top, trace and export as people and scripts read them. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import fc from 'fast-check';
import { createSystemClock } from '../../src/app/system-clock.ts';
import type { MeshReport } from '../../src/client/types.ts';
import { connect } from '../../src/client/connect.ts';
import type { Fact } from '../../src/domain/event.ts';
import { eventIdOf, invocationIdOf } from '../../src/domain/ids.ts';
import type { NodeReport, TroubledFlight } from '../../src/domain/observation.ts';
import { FakeNode } from '../support/fake-node.ts';
import { desktop, fakePeers, hlc, laptop, startMs } from '../support/fake-records.ts';
import { nodeIdFor } from '../support/temp-store.ts';
import { nodeReport } from '../unit/rpc/observation-samples.ts';
import { waitFor } from '../support/wait-for.ts';

const ulid = '01J9Z6M3T4V8Q2X7K5B1C0D9EF';
const invocationId = invocationIdOf(ulid);
const shed = nodeIdFor(3);
const fact: Fact = { id: eventIdOf(ulid), nodeId: laptop, what: 'delivery.sent', invocationId, peerNodeId: desktop, detail: { attempt: '1' }, atMs: startMs, hlc };
const at = new Date(startMs).toISOString();

let node: FakeNode;
beforeEach(async () => {
  node = await new FakeNode().start();
});
afterEach(() => node.stop());

describe('tail', () => {
  beforeEach(() => {
    node.broker.operator.updates = [
      { type: 'fact', atMs: startMs, fact, nodeName: 'laptop', peerName: 'desktop', late: false },
      { type: 'gap', atMs: startMs, nodeId: desktop, nodeName: 'desktop', why: "desktop can't be reached: \u001b[2Jit sleeps", knownUntilMs: startMs },
      { type: 'back', atMs: startMs, nodeId: desktop, nodeName: 'desktop' },
      { type: 'fact', atMs: startMs + 9, fact: { ...fact, nodeId: desktop }, nodeName: 'desktop', late: true },
    ];
  });

  test('for scripts: an object a line, late ones marked, gaps with what is known', async () => {
    const { code, events } = await node.run(['tail', '--json']);
    expect(code).toBe(0);
    const common = { hlc, what: 'delivery.sent', id: fact.id, invocationId, peerNodeId: desktop, detail: { attempt: '1' } };
    expect(events).toEqual([
      { type: 'event', at, node: 'laptop', nodeId: laptop, peer: 'desktop', ...common },
      { type: 'gap', at, node: 'desktop', nodeId: desktop, why: "desktop can't be reached: \u001b[2Jit sleeps", knownUntil: at },
      { type: 'back', at, node: 'desktop', nodeId: desktop },
      { type: 'event', at, node: 'desktop', nodeId: desktop, ...common, late: true },
    ]);
  });

  test('for people: a line each, and no control sequence of another node', async () => {
    const { stdout } = await node.run(['tail']);
    const lines = stdout.trimEnd().split('\n');
    expect(lines[0]).toMatch(/^\d\d:\d\d:\d\d\.\d{3} {2}laptop {2}delivery\.sent {2}0D9EF|C0D9EF/);
    expect(lines[1]).toMatch(/^gap: desktop can't be reached/);
    expect(lines[3]).toContain('late');
    expect(stdout).not.toContain('\u001b');
  });

  test('what it is asked for reaches the node: a node, a time, an end', async () => {
    await node.run(['tail']);
    await node.run(['tail', '--node', 'desktop', '--since', '2026-03-01T14:00:00Z', '--no-follow']);
    expect(node.broker.operator.tailed).toEqual([{ noFollow: false }, { noFollow: true, node: 'desktop', sinceMs: Date.UTC(2026, 2, 1, 14) }]);
    expect((await node.run(['tail', '--since', 'yesterday'])).code).toBe(2);
  });

  test('ends with Ctrl-C, by 0', async () => {
    node.broker.operator.tailsForever = true;
    const tailing = node.process();
    const ended = tailing.run('tail', '--json');
    await waitFor('the last update', () => tailing.stdout.includes('"late"'));
    expect(tailing.signal('SIGINT')).toBe(true);
    expect(await ended).toBe(0);
  });

  test('ends when nobody reads any more', async () => {
    node.broker.operator.tailsForever = true;
    expect((await node.run(['tail', '--json'], { readsBytes: 10 })).code).toBe(0);
  });
});

describe('trace --follow', () => {
  const origin = { nodeId: laptop, nodeName: 'laptop', isOrigin: true, isOwner: false };
  const owner = { nodeId: desktop, nodeName: 'desktop', isOrigin: false, isOwner: true };
  const standing = { originNodeId: laptop, ownerNodeId: desktop, run: 0, lastSeq: 0, acceptedAtMs: startMs, cancelRequested: true };

  test('of one that ended before it was sent ends, though its agent’s node knows nothing of it', async () => {
    node.broker.trace = () => Promise.resolve({ invocationId, entries: [{ fact, nodeName: 'laptop' }], gaps: [], parties: [{ ...origin, standing: { ...standing, state: 'cancelled' } }, owner] });
    const { code, stdout } = await node.run(['trace', invocationId, '--follow']);
    expect(code).toBe(0);
    expect(stdout).toMatch(/origin {2}laptop {2}cancelled.*\nowner {3}desktop {2}knows nothing of it/);
  });

  test('of one that is under way goes on until Ctrl-C, and ends at once then', async () => {
    node.broker.trace = () => Promise.resolve({ invocationId, entries: [{ fact, nodeName: 'laptop' }], gaps: [], parties: [{ ...origin, standing: { ...standing, state: 'queued' } }, owner] });
    const following = node.process({ clock: { ...createSystemClock(), setTimer: () => () => undefined } });
    const ended = following.run('trace', invocationId, '--follow', '--json');
    await waitFor('its first fact', () => following.stdout.includes('delivery.sent'));
    expect(following.signal('SIGINT')).toBe(true);
    expect(await ended).toBe(0);
  });
});

const troubled: TroubledFlight = { invocationId, target: '@fabric@desktop#main', originNodeId: laptop, ownerNodeId: desktop, sinceMs: startMs - 60_000, why: 'peer_unreachable: it sleeps', attempts: 2 };
const well: NodeReport = {
  ...{ nodeId: laptop, name: 'laptop', owner: 'ada', version: '1.2.3', epoch: 7, draining: false, flights: { running: 2, queued: 1 }, peers: { unreachable: 1 } },
  ...{ undelivered: { count: 0, more: false }, dead: { count: 0, more: false, newest: [] }, indeterminate: { count: 0, more: false, newest: [] }, waiting: { count: 0, more: false }, slow: [], owing: [] },
};
const wellReport: MeshReport = {
  ...{ atMs: startMs, sinceMs: startMs - 7 * 86_400_000, nodeId: laptop, meshName: 'home', peers: fakePeers, gaps: [], certificates: [] },
  nodes: [well, { ...well, nodeId: desktop, name: 'desktop' }],
  names: [{ nodeId: laptop, name: 'laptop' }, { nodeId: desktop, name: 'desktop' }],
};
const badReport: MeshReport = {
  ...wellReport,
  peers: fakePeers.map((each) => ({ ...each, state: 'unreachable' })),
  nodes: [{
    ...well,
    undelivered: { count: 10_000, more: true, oldest: troubled },
    dead: { count: 1, more: false, newest: [troubled] },
    indeterminate: { count: 1, more: false, newest: [{ ...troubled, why: 'nobody knows' }] },
    waiting: { count: 1, more: false, oldest: troubled },
    slow: [{ address: '@fabric@laptop#main', queued: 9, running: 4, oldestQueuedMs: 90_000, why: '9 wait, the oldest for 1m 30s' }],
    owing: [{ nodeId: desktop, undelivered: { count: 3, more: false, oldest: troubled }, open: { count: 2, more: false } }],
  }, { ...well, nodeId: shed, name: 'shed', peers: {}, indeterminate: { count: 1, more: false, newest: [{ ...troubled, why: 'nobody knows' }] } }],
  gaps: [{ nodeId: desktop, nodeName: 'desktop', why: "desktop can't be reached: it sleeps", sinceMs: startMs - 240_000, lastSeenMs: startMs - 250_000 }],
  certificates: [{ nodeId: desktop, nodeName: 'desktop', endsAtMs: startMs - 1000 }],
};

describe('report', () => {
  test('a mesh that is well: each line says so', async () => {
    node.broker.operator.found = wellReport;
    const { code, stdout } = await node.run(['report']);
    expect(code).toBe(0);
    for (const line of [/^UNDELIVERED +none$/m, /^DEAD LETTERS +none in 7d$/m, /^INDETERMINATE +none in 7d$/m, /^SLOW AGENTS +none$/m, /^CERTIFICATES +none ends within 30d$/m, /^VERSIONS +1\.2\.3 on all$/m, /^NOT KNOWN +nothing: all nodes answered$/m]) expect(stdout).toMatch(line);
  });

  test('what is not well is there, with its age and reason; of a node that is away: since when, why, and what others have open with it', async () => {
    node.broker.operator.found = badReport;
    const { stdout } = await node.run(['report']);
    expect(stdout).toMatch(/^UNDELIVERED +10000\+$/m);
    expect(stdout).toMatch(/^INDETERMINATE +1 at laptop, 1 at shed in 7d$/m);
    expect(stdout).toMatch(/^laptop, shed +C0D9EF +1m +@fabric@desktop#main +nobody knows$/m);
    expect(stdout).toMatch(/C0D9EF +1m +@fabric@desktop#main +2 +peer_unreachable: it sleeps/);
    expect(stdout).toMatch(/^desktop +unreachable .* \? +\? +\? /m);
    expect(stdout).toMatch(/^NOT KNOWN +what this node has queued/m);
    expect(stdout).toMatch(/gap: desktop can't be reached: it sleeps, for 4m, last heard /);
    expect(stdout).toMatch(/known: 3 held at laptop for it, the oldest for 1m; 2 sent to it by laptop, whose end is not known/);
    expect(stdout).toMatch(/^CERTIFICATES +desktop ended 1s ago$/m);
    expect(stdout).toMatch(/9 wait, the oldest for 1m 30s/);
  });

  test.each([40, 80, 140])('fits a terminal of %i columns, and says the same', async (columns) => {
    node.broker.operator.found = badReport;
    const shown = node.process({ terminal: true });
    Object.assign(shown.host.stdout, { columns });
    await shown.run('report');
    const lines = shown.stdout.split('\n');
    if (columns >= 80) expect(lines.filter((line) => line.length > columns)).toEqual([]);
    expect(lines.join(' ').replace(/\s+/g, ' ')).toContain("can't be reached: it sleeps");
  });

  test('for scripts', async () => {
    node.broker.operator.found = badReport;
    const { json } = await node.run(['report', '--json', '--since', '1d']);
    expect(json).toMatchObject({
      at, mesh: 'home', nodeId: laptop, peers: [{ name: 'desktop', state: 'unreachable' }],
      nodes: [{ node: 'laptop', flights: { running: 2 }, undelivered: { count: 10_000, more: true, oldest: { invocationId, origin: 'laptop', owner: 'desktop', attempts: 2 } }, slow: [{ queued: 9 }], owing: [{ node: 'desktop', undelivered: { count: 3 }, open: { count: 2 } }] }, { node: 'shed' }],
      gaps: [{ node: 'desktop', why: "desktop can't be reached: it sleeps", since: new Date(startMs - 240_000).toISOString() }],
      certificates: [{ node: 'desktop', ended: true }],
    });
    expect(Math.abs((node.broker.operator.reportedSince[0] ?? 0) - (Date.now() - 86_400_000))).toBeLessThan(60_000);
  });

  test('what a client reads is what the node said, field by field', async () => {
    const client = await connect({ socketPath: node.socketPath });
    try {
      for (const found of [badReport, wellReport]) {
        node.broker.operator.found = found;
        expect(await client.report(0)).toEqual(found);
      }
      await fc.assert(fc.asyncProperty(nodeReport, async (report) => {
        node.broker.operator.found = { ...wellReport, nodes: [report] };
        expect((await client.report(0)).nodes).toEqual([report]);
      }), { numRuns: 20 });
    } finally {
      client.close();
    }
  });
});

test('trace names, of a gap, since when and what is not known', async () => {
  await node.run(['invoke', 'fabric', 'echo hi']);
  const { json } = await node.run(['trace', 'last', '--json']);
  expect(json).toMatchObject({ gaps: [{ node: 'desktop', since: at, unknown: ['whether it was received'] }], parties: [{ node: 'laptop', role: 'origin' }] });
  const { stdout } = await node.run(['trace', 'last']);
  expect(stdout).toMatch(/gap: desktop: it is unreachable, since .*\n +not known: whether it was received/);
});

describe('export', () => {
  test('of a period that ends before it begins is a mistake', async () => {
    expect(await node.run(['export', '--since', '2026-04-01', '--until', '2026-03-01'])).toMatchObject({ code: 2, stderr: expect.stringContaining('ends before it begins') });
  });

  test('passes the period on, and prints a line each between head and end', async () => {
    node.broker.operator.lines = [
      { type: 'begin', atMs: startMs, nodeId: laptop, nodeName: 'laptop', version: '1.2.3', names: [{ nodeId: desktop, name: 'desktop' }, { nodeId: laptop, name: 'laptop' }] },
      { type: 'fact', fact },
      { type: 'end', atMs: startMs, flights: 0, facts: 1 },
    ];
    const { code, events } = await node.run(['export', '--since', '2026-03-01', '--until', '2026-04-01']);
    expect(code).toBe(0);
    expect(events).toEqual([
      { type: 'export', at, node: 'laptop', nodeId: laptop, version: '1.2.3' },
      { type: 'fact', at, node: 'laptop', hlc, what: 'delivery.sent', id: fact.id, nodeId: laptop, invocationId, peer: 'desktop', peerNodeId: desktop, detail: { attempt: '1' } },
      { type: 'end', at, flights: 0, facts: 1 },
    ]);
    expect(node.broker.operator.exported).toEqual([{ sinceMs: Date.parse('2026-03-01'), untilMs: Date.parse('2026-04-01') }]);
  });
});

describe('top', () => {
  const enter = '\u001b[?1049h';
  const leave = '\u001b[?1049l';
  beforeEach(() => {
    node.broker.watchForever = true;
    node.broker.agentChanges = [{ atMs: startMs, agents: [], gone: [] }];
  });

  /** Runs until the nodes are on the screen, then does that. */
  async function onScreen(then: (watching: ReturnType<FakeNode['process']>, press: (key: string | undefined) => void) => void, columns = 80): Promise<{ code: number; stdout: string }> {
    let press: (key: string | undefined) => void = () => undefined;
    const readKey = (signal: AbortSignal): Promise<string | undefined> =>
      new Promise((resolve) => {
        press = resolve;
        signal.addEventListener('abort', () => resolve(undefined));
      });
    const watching = node.process({ terminal: true, readKey });
    Object.assign(watching.host.stdout, { columns, rows: 24 });
    const ended = watching.run('top');
    await waitFor('the nodes', () => watching.stdout.includes('alive'));
    then(watching, (key) => press(key));
    return { code: await ended, stdout: watching.stdout };
  }

  test.each<[string, (watching: ReturnType<FakeNode['process']>, press: (key: string | undefined) => void) => unknown]>([
    ['q', (_watching, press) => press('q')],
    ['Ctrl-C as a key', (_watching, press) => press('\u0003')],
    ['Ctrl-C', (watching) => watching.signal('SIGINT')],
    ['a kill', (watching) => watching.signal('SIGTERM')],
    ['a line that is lost', (watching) => watching.signal('SIGHUP')],
    ['a terminal that is gone', (_watching, press) => press(undefined)],
  ])('ends with %s by 0, and gives the screen back', async (_name, then) => {
    const { code, stdout } = await onScreen((watching, press) => void then(watching, press));
    expect(code).toBe(0);
    expect([stdout.startsWith(enter), stdout.endsWith(leave), stdout.split(enter).length]).toEqual([true, true, 2]);
  });

  test.each([30, 80, 140])('no line is longer than a terminal of %i columns, each frame is drawn at once, from the top, and never cleared first', async (columns) => {
    const { stdout } = await onScreen((_watching, press) => press('q'), columns);
    expect(stdout).not.toContain('\u001b[2J');
    const frames = stdout.split('\u001b[?2026h').slice(1);
    expect(frames.length).toBeGreaterThan(0);
    for (const frame of frames) {
      expect([frame.startsWith('\u001b[H'), frame.includes('\u001b[?2026l')]).toEqual([true, true]);
      // oxlint-disable-next-line no-control-regex
      const lines = frame.replace(/\u001b\[[?0-9;]*[a-zA-Z]/g, '').split('\r\n');
      expect(lines.length).toBeLessThanOrEqual(24);
      if (columns >= 80) expect(lines.filter((line) => line.length > columns)).toEqual([]);
    }
  });

  test('for scripts: an object each time it looks', async () => {
    const watching = node.process();
    const ended = watching.run('top', '--json', '--every', '50ms');
    await waitFor('two looks', () => watching.events.length >= 2);
    watching.signal('SIGTERM');
    expect(await ended).toBe(0);
    expect(watching.events[1]).toMatchObject({ type: 'top', at: expect.any(String), node: { name: 'laptop' }, rates: { taken: 0, ended: 0 }, nodes: [{ name: 'laptop', state: 'here' }, { name: 'desktop', state: 'alive' }], busy: [], open: [] });
  });

  test('into a pipe: one look, and its end', async () => {
    const { code, stdout } = await node.run(['top']);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^laptop {2}mesh home {2}2 nodes: 1 alive/);
    expect(stdout).not.toContain('\u001b');
  });
});
