import { beforeEach, describe, expect, test } from 'vitest';
import { policyCapability } from '../../../src/app/capability-rules.ts';
import { CallerStandings } from '../../../src/app/caller-standings.ts';
import { unavailable } from '../../../src/domain/errors.ts';
import type { HostPort } from '../../../src/domain/host-port.ts';
import type { TailnetIdentity, TailnetView } from '../../../src/domain/tailnet.ts';
import type { LiveSession } from '../../../src/mesh/node-mesh.ts';
import { createSystemClock } from '../../../src/app/system-clock.ts';
import { nodeIdFor, silentLog } from '../../support/temp-store.ts';
import { waitFor } from '../../support/wait-for.ts';

const [bob, carol] = [nodeIdFor(2), nodeIdFor(3)];
const cap = 'example.com/cap/deployers';
const identity = (changes: Partial<TailnetIdentity> & { readonly caps?: Readonly<Record<string, readonly unknown[]>> } = {}): TailnetIdentity => {
  const { caps = {}, ...rest } = changes;
  return { id: 'n2', name: 'studio', user: 'bob', tags: [], addresses: ['100.64.0.2'], isExpired: false, isShared: false, isRouter: false, capabilities: new Map(Object.entries(caps)), ...rest };
};
const up = (changes: { readonly isUserspace?: boolean } = {}): TailnetView => ({
  kind: 'up',
  status: { version: '1', state: 'Running', isUserspace: false, addresses: ['100.64.0.1'], self: { ...identity({ id: 'n1' }), hostName: '', dnsName: '', os: '', isOnline: true, isExit: false }, dnsSuffix: '', peers: [], ...changes },
});
const session = (changes: Partial<LiveSession> & { readonly nodeId?: typeof bob } = {}): LiveSession => {
  const { nodeId = bob, ...rest } = changes;
  return { peer: { nodeId, name: 'studio', owner: 'bob' } as LiveSession['peer'], address: '100.64.0.2:50000', path: 'inbound', cut: () => undefined, ...rest };
};

let view: TailnetView;
let whois: (remote: HostPort) => Promise<TailnetIdentity | undefined>;
let asked: string[];
let sessions: LiveSession[];
let local: string | undefined;
let out: string | undefined;
let look: () => void;
let told: unknown[];
let standings: CallerStandings;

beforeEach(async () => {
  [view, asked, sessions, local, out, told] = [up(), [], [], '100.64.0.1', '100.64.0.1', []];
  whois = () => Promise.resolve(identity({ caps: { [cap]: [] } }));
  standings = new CallerStandings({
    tailnet: {
      get view() {
        return view;
      },
      whois: (remote) => (asked.push(`${remote.host}:${remote.port}`), whois(remote)),
      onLook: (listener) => {
        look = listener;
        return () => undefined;
      },
    },
    sessions: () => sessions,
    localAddressOf: () => local,
    wayOut: () => Promise.resolve(out),
    clock: createSystemClock(),
    log: silentLog,
  });
  standings.onChange((nodeId) => told.push(nodeId));
  await standings.start();
});

async function begins(one: LiveSession = session()): Promise<ReturnType<typeof standings.standingOf>['tailnet']> {
  sessions = [...sessions.filter(({ peer }) => peer.nodeId !== one.peer.nodeId), one];
  standings.began(one.peer.nodeId);
  expect(standings.standingOf(one.peer.nodeId).tailnet.kind).toBe('unknown');
  await standings.settled(one.peer.nodeId);
  expect(standings.settled(one.peer.nodeId)).toBeUndefined();
  return standings.standingOf(one.peer.nodeId).tailnet;
}

test('of whom no session was seen nothing is known', () => {
  expect(standings.standingOf(bob)).toMatchObject({ tailnet: { kind: 'unknown' }, rules: [] });
  expect(standings.settled(bob)).toBeUndefined();
});

describe('a session through the tailnet has the tags and capabilities of its machine', () => {
  test('inbound, on an address of the tailnet', async () => {
    whois = () => Promise.resolve(identity({ tags: ['tag:web'], caps: { [cap]: [], [policyCapability]: [{ allow: [{ verbs: ['invoke'] }] }] } }));
    expect(await begins()).toEqual({ kind: 'known', tags: ['tag:web'], capabilities: new Set([cap, policyCapability]) });
    expect(standings.standingOf(bob).rules).toMatchObject([{ effect: 'allow', verbs: ['invoke'] }]);
    expect([asked, told]).toEqual([['100.64.0.2:50000'], [bob]]);
  });

  test('inbound without a network interface, from loopback by its port', async () => {
    view = up({ isUserspace: true });
    expect((await begins(session({ address: '127.0.0.1:50000' }))).kind).toBe('known');
    expect(asked).toEqual(['127.0.0.1:50000']);
  });

  test('outbound, when the way there leads through the tailnet', async () => {
    expect((await begins(session({ path: 'outbound', address: '100.64.0.2:7423' }))).kind).toBe('known');
  });
});

describe('nothing is asked of what did not come through the tailnet', () => {
  test.each<[string, () => Partial<LiveSession>]>([
    ['a remote address of the tailnet on a connection to another address', () => ((local = '192.168.1.5'), {})],
    ['a connection whose ends are not known', () => ((local = undefined), {})],
    ['loopback, where there is a network interface', () => ((local = '127.0.0.1'), { address: '127.0.0.1:50000' })],
    ['an address of the tailnet that another way leads to', () => ((out = '192.168.1.5'), { path: 'outbound' })],
    ['an address of the tailnet that no way leads to', () => ((out = undefined), { path: 'outbound' })],
    ['an address of the local network', () => ({ path: 'outbound', address: '192.168.1.9:7423' })],
  ])('%s', async (_what, changes) => {
    expect((await begins(session(changes()))).kind).toBe('none');
    expect(asked).toEqual([]);
  });
});

test.each<[string, Partial<TailnetIdentity> | undefined]>([
  ['a subnet router, whose address others have, too', { isRouter: true }],
  ['a machine of another tailnet', { isShared: true }],
  ['one whose key has expired', { isExpired: true }],
  ['this machine itself, which has other users', { id: 'n1' }],
  ['one that it does not know', undefined],
])('the tailnet vouches for nothing of %s', async (_what, changes) => {
  whois = () => Promise.resolve(changes === undefined ? undefined : identity({ ...changes, caps: { [cap]: [] } }));
  expect((await begins()).kind).toBe('none');
});

test('what is withdrawn there is withdrawn here with the next notice, in the session that is open, and told', async () => {
  await begins();
  whois = () => Promise.resolve(identity());
  look();
  await waitFor('the second answer', () => told.length === 2);
  expect(standings.standingOf(bob).tailnet).toEqual({ kind: 'known', tags: [], capabilities: new Set() });
  look();
  await waitFor('the third question', () => asked.length === 3);
  await standings.stop();
  expect(told).toEqual([bob, bob]);
});

test('when tailscaled does not answer, what was known counts no more; when it does again, it does', async () => {
  await begins();
  whois = () => Promise.reject(unavailable('no answer'));
  look();
  await waitFor('it to be given up', () => standings.standingOf(bob).tailnet.kind === 'unknown');
  expect(asked).toHaveLength(1 + 3);
  whois = () => Promise.resolve(identity({ caps: { [cap]: [] } }));
  look();
  await waitFor('it to be known again', () => standings.standingOf(bob).tailnet.kind === 'known');
  view = { kind: 'down', state: 'Stopped', why: 'it is stopped' };
  look();
  await waitFor('a tailnet that is down to say nothing', () => standings.standingOf(bob).tailnet.kind === 'unknown');
});

test('of whom a session is over the machine is asked about still, and counts no more once another has its address', async () => {
  await begins();
  sessions = [];
  whois = () => Promise.resolve(identity({ caps: {} }));
  look();
  await waitFor('the question', () => asked.length === 2);
  await waitFor('the answer', () => told.length === 2);
  expect([asked[1], standings.standingOf(bob).tailnet]).toEqual(['100.64.0.2:1', { kind: 'known', tags: [], capabilities: new Set() }]);
  whois = () => Promise.resolve(identity({ id: 'n9', caps: { [cap]: [] } }));
  look();
  await waitFor('the next answer', () => told.length === 3);
  expect(standings.standingOf(bob).tailnet.kind).toBe('none');
});

test('another session of the same node is judged by its own way, whatever was known before', async () => {
  await begins();
  local = '192.168.1.5';
  expect((await begins(session({ address: '192.168.1.9:40000' }))).kind).toBe('none');
  expect((await begins(session({ nodeId: carol, address: '192.168.1.9:40001' }))).kind).toBe('none');
});
