import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { PeerView } from '../../src/domain/mesh-port.ts';
import { notFound, unavailable } from '../../src/domain/errors.ts';
import { FakeNode } from '../support/fake-node.ts';
import { fakePeers, startMs } from '../support/fake-records.ts';
import { waitFor } from '../support/wait-for.ts';

let node: FakeNode;
let desktop: PeerView;
beforeEach(async () => {
  node = await new FakeNode().start();
  const [peer] = fakePeers;
  if (peer === undefined) throw new Error('no peer');
  desktop = peer;
});
afterEach(() => node.stop());

const columns = ['name', 'nodeId', 'state', 'why', 'since', 'address', 'path', 'source', 'rttMs', 'lastSeen', 'version'];
const iso = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

describe('peers --watch', () => {
  const gone = (): PeerView => ({ ...desktop, state: 'suspect', why: 'nothing heard for 9 s', sinceMs: startMs + 1 });

  test('for scripts: a line for each peer, then one for each change, none for what changes all the time', async () => {
    node.broker.peerChanges = [
      { type: 'all', atMs: startMs + 1, peers: [{ ...desktop, rttMs: 99, lastSeenMs: startMs + 1 }] },
      { type: 'changed', atMs: startMs + 2, peer: gone(), from: 'alive' },
      { type: 'all', atMs: startMs + 3, peers: [{ ...gone(), why: 'nothing heard for 9 s, but server reaches it' }] },
      { type: 'all', atMs: startMs + 4, peers: [] },
    ];
    const { code, events } = await node.run(['peers', '--watch', '--json']);
    expect(code).toBe(0);
    expect(events.map(({ type, state, from }) => [type, state, from])).toEqual([
      ['peer', desktop.state, undefined],
      ['peer', 'suspect', 'alive'],
      ['peer', 'suspect', undefined],
      ['gone', undefined, undefined],
    ]);
    expect(Object.keys(events[0] ?? {})).toEqual(['type', 'at', ...columns]);
    expect(events[1]).toMatchObject({ at: new Date(startMs + 2).toISOString(), name: desktop.name, why: 'nothing heard for 9 s' });
    expect(events[3]).toEqual({ type: 'gone', at: expect.stringMatching(iso), name: desktop.name, nodeId: desktop.nodeId });
  });

  test('for people: the table is drawn over in place', async () => {
    node.broker.peerChanges = [{ type: 'changed', atMs: startMs + 2, peer: gone(), from: 'alive' }];
    const watching = node.process({ terminal: true });
    Object.assign(watching.host.stdout, { columns: 160 });
    expect(await watching.run('peers', '--watch')).toBe(0);
    const { stdout } = watching;
    expect(stdout.startsWith('\u001b[?1049h')).toBe(true);
    expect(stdout.endsWith('\u001b[?1049l')).toBe(true);
    expect(stdout).toMatch(/suspect.*nothing heard for 9 s/);
    expect(stdout.toLowerCase()).toMatch(/name +state +since +rtt +address +path +source +last seen +version +why/);
  });

  test('into a pipe: the table once, then a line a change', async () => {
    node.broker.peerChanges = [{ type: 'changed', atMs: startMs + 2, peer: gone(), from: 'alive' }];
    const { stdout } = await node.run(['peers', '--watch']);
    expect(stdout).not.toContain('\u001b');
    expect(stdout.trimEnd().split('\n').at(-1)).toMatch(new RegExp(`^\\S+ \\S+  ${desktop.name}  suspect  nothing heard for 9 s$`));
  });

  test('ends with Ctrl-C, and says so by 0', async () => {
    node.broker.watchForever = true;
    const watching = node.process();
    const ended = watching.run('peers', '--watch', '--json');
    await waitFor('the first peer', () => watching.stdout.includes('"peer"'));
    await waitFor('somebody to listen', () => watching.signal('SIGINT'));
    expect(await ended).toBe(0);
  });
});

describe('ping', () => {
  test('shows each round trip and what they come to', async () => {
    const { code, stdout } = await node.run(['ping', 'desktop', '-c', '2']);
    expect(code).toBe(0);
    expect(stdout).toBe('desktop (127.0.0.1:7424) answered in 0.5 ms\n'.repeat(2) + '2 sent, 2 answered; least 0.5 ms, mean 0.5 ms, most 0.5 ms\n');
  });

  test('for scripts: one object a line', async () => {
    const { code, events } = await node.run(['ping', 'desktop', '-c', '1', '--json']);
    expect(code).toBe(0);
    const at = expect.stringMatching(iso) as string;
    expect(events).toEqual([
      { type: 'pong', at, seq: 1, node: 'desktop', nodeId: desktop.nodeId, address: '127.0.0.1:7424', rttMs: 0.5 },
      { type: 'summary', at, node: 'desktop', sent: 1, answered: 1, minMs: 0.5, meanMs: 0.5, maxMs: 0.5 },
    ]);
  });

  test('that is not answered is counted as lost; none answered exits 4, one is enough for 0', async () => {
    const answers = [true, false];
    const ping = node.broker.ping.bind(node.broker);
    node.broker.ping = (name) => (answers.shift() === true ? ping(name) : Promise.reject(unavailable("desktop can't be reached", 'see its state: beckon peers')));
    const some = await node.run(['ping', 'desktop', '-c', '2', '--json']);
    expect([some.code, ...some.events.map(({ type }) => String(type))]).toEqual([0, 'pong', 'lost', 'summary']);
    const none = await node.run(['ping', 'desktop', '-c', '1']);
    expect(none.code).toBe(4);
    expect(none.stderr).toContain("desktop can't be reached");
    expect(none.stdout).toBe('1 sent, none answered\n');
  });

  test('of a node that there is not ends at once with 3', async () => {
    node.broker.ping = () => Promise.reject(notFound('no node elsewhere'));
    const { code, events } = await node.run(['ping', 'elsewhere', '--json']);
    expect(code).toBe(3);
    expect(events).toMatchObject([{ type: 'error', error: { code: 'not_found' } }]);
  });
});
