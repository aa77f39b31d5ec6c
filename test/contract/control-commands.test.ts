import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { BrokerError, errorCodes } from '../../src/domain/errors.ts';
import { exitOfError } from '../../src/cli/exit.ts';
import { desktop, laptop } from '../support/fake-broker.ts';
import { FakeNode } from '../support/fake-node.ts';

let node: FakeNode;
beforeEach(async () => {
  node = await new FakeNode().start();
});
afterEach(() => node.stop());

const iso = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

describe('documents', () => {
  test('status names the node, its mesh, and counts peers and flights by state', async () => {
    const { code, json } = await node.run(['status', '--json']);
    expect(code).toBe(0);
    expect(json).toMatchObject({ node: { id: laptop, name: 'laptop', owner: 'ada', epoch: expect.any(Number), version: '1.2.3' }, mesh: { id: 'mesh1', name: 'home' }, peers: { alive: 1 }, flights: {} });
  });

  test('--json may stand before the command as well as behind it', async () => {
    expect((await node.run(['--json', 'status'])).json).toEqual((await node.run(['status', '--json'])).json);
  });

  test('version', async () => {
    expect((await node.run(['version', '--json'])).json).toEqual({ version: '1.2.3' });
    expect((await node.run(['version'])).stdout).toBe('beckon 1.2.3\n');
  });

  test('peers have all pinned keys', async () => {
    const { code, json } = await node.run(['peers', '--json']);
    expect(code).toBe(0);
    expect(Object.keys(json['peers'][0])).toEqual(['name', 'nodeId', 'state', 'why', 'since', 'address', 'path', 'source', 'rttMs', 'lastSeen', 'version']);
    expect(json['peers'][0].since).toMatch(iso);
  });

  test('mesh create, invite, join and members', async () => {
    expect((await node.run(['mesh', 'create', 'club', '--json'])).json).toMatchObject({ mesh: { id: 'mesh1', name: 'club' } });
    const invited = await node.run(['mesh', 'invite', '--ttl', '1h', '--json']);
    expect(invited.json).toMatchObject({ token: 'bkn1.token', expiresAt: '2026-03-01T15:00:00.000Z' });
    expect((await node.run(['mesh', 'join', '-', '--json'], { stdin: ' bkn1.token\n' })).code).toBe(0);
    expect(node.broker.joined).toEqual(['bkn1.token']);
    expect((await node.run(['mesh', 'members', '--json'])).json).toEqual({
      members: [
        { name: 'laptop', nodeId: laptop, owner: 'ada', state: 'self' },
        { name: 'desktop', nodeId: desktop, owner: 'ada', state: 'alive' },
      ],
    });
  });

  test('the token alone is on stdout of mesh invite', async () => {
    const { stdout, stderr } = await node.run(['mesh', 'invite']);
    expect(stdout).toBe('bkn1.token\n');
    expect(stderr).toMatch(/it will ask at 127\.0\.0\.1:7423.*no other machine reaches this one there; first beckon down, then beckon up --detach --listen/s);
  });

  test('agents, agent show, agent add, agent rm', async () => {
    const argv = ['agent', 'add', '--cwd', 'sub', '--label', 'team=web', '--cap', 'review', '--env', 'A=secret', '--default', '--json', '--', 'sh', '-c', 'x', '--json'];
    const added = await node.run(argv, { cwd: '/src' });
    expect(added.code).toBe(0);
    expect(node.broker.specs[0]).toMatchObject({ cwd: '/src/sub', argv: ['sh', '-c', 'x', '--json'], labels: { team: 'web' }, capabilities: ['review'], isDefault: true, path: '/usr/bin:/bin' });
    expect(node.broker.specs[0]).not.toHaveProperty('name');
    expect(added.stdout).not.toContain('secret');
    for (const workspace of ['fix/a b', 'fix/a%20b', 'ü', '%C3%BC']) await node.run(['agent', 'add', '--workspace', workspace, '--', 'true']);
    expect(node.broker.specs.slice(1).map((spec) => spec.workspace)).toEqual(['fix/a b', 'fix/a b', 'ü', 'ü']);
    const { json } = await node.run(['agents', '--json']);
    expect(json['agents'][0]).toMatchObject({ address: '@fabric@laptop#main', node: 'laptop', harness: 'command', state: 'here', available: true });
    expect(json).not.toHaveProperty('next');
    expect((await node.run(['agent', 'show', 'fabric', '--json'])).json['agent'].address).toBe('@fabric@laptop#main');
    expect((await node.run(['agent', 'rm', 'fabric', '--json'])).json).toEqual({ address: 'fabric', heldFailed: 2 });
  });

  test('a command that does not exist is a warning, and the agent is added', async () => {
    const { code, stdout, stderr } = await node.run(['agent', 'add', 'fabric', '--', 'nowhere']);
    expect([code, stdout]).toEqual([0, '@fabric@laptop#main\n']);
    expect(stderr).toContain('warning: it can\'t be called yet: nowhere is not on PATH');
  });

  test('resolve prints the target, and exits as its error says when there is none', async () => {
    expect((await node.run(['resolve', 'fabric', '--json'])).json).toEqual({ target: '@fabric@laptop#main', candidates: [{ address: '@fabric@laptop#main', chosen: true, why: 'the only one' }] });
    node.broker.candidates = [];
    const none = await node.run(['resolve', 'fabric', '--json']);
    expect([none.code, none.json['candidates'], none.json['error'].code]).toEqual([3, [], 'not_found']);
    expect((await node.run(['resolve', 'fabric'])).code).toBe(3);
  });

  test('flights come newest first, without output, page by page', async () => {
    for (const word of ['a', 'b', 'c']) await node.run(['invoke', 'fabric', `echo ${word}`]);
    const first = await node.run(['flights', '--limit', '2', '--json']);
    expect(first.json['flights']).toHaveLength(2);
    expect(first.json['flights'][0]).not.toHaveProperty('output');
    const second = await node.run(['flights', '--limit', '2', '--after', first.json['next'], '--json']);
    expect(second.json['flights']).toHaveLength(1);
    expect(second.json).not.toHaveProperty('next');
  });

  test('flight show has the four receipts, each null until it is true', async () => {
    await node.run(['invoke', 'fabric', 'exit 7']);
    const { json } = await node.run(['flight', 'show', 'last', '--json']);
    expect(json['flight']).toMatchObject({ state: 'failed', target: '@fabric@laptop#main', output: '', exitCode: 7, origin: 'laptop', owner: 'desktop' });
    expect(json['receipts']).toMatchObject({ accepted: { node: 'laptop' }, received: { node: 'desktop' }, started: { node: 'desktop', run: 1 }, finished: { node: 'desktop', state: 'failed' } });
    await node.run(['invoke', 'fabric', '--detach', 'held forever']);
    expect((await node.run(['flight', 'show', 'last', '--json'])).json['receipts']).toMatchObject({ received: null, started: null, finished: null });
  });

  test('flight output is the bytes themselves, and one document with --json', async () => {
    await node.run(['invoke', 'fabric', 'bytes 1b5b324a ff']);
    expect(Buffer.from((await node.run(['flight', 'output', 'last'])).bytes).toString('hex')).toBe('1b5b324aff');
    expect((await node.run(['flight', 'output', 'last', '--json'])).json).toEqual({ stream: 'stdout', base64: 'G1sySv8=' });
    await node.run(['invoke', 'fabric', 'echo hi']);
    expect((await node.run(['flight', 'output', 'last', '--json'])).json).toEqual({ stream: 'stdout', output: 'hi\n' });
  });

  test('flight cancel says who said so; of a finished flight it is a conflict', async () => {
    await node.run(['invoke', 'fabric', '--detach', 'hang']);
    const { code, json } = await node.run(['flight', 'cancel', 'last', '--json']);
    expect([code, json]).toEqual([0, { flightId: expect.stringMatching(/^flt_/), state: 'cancelled', confirmed: true, ended: 3 }]);
    expect((await node.run(['flight', 'cancel', 'last'])).code).toBe(6);
    node.broker.answersCancel = false;
    await node.run(['invoke', 'fabric', '--detach', 'hang']);
    const open = await node.run(['flight', 'cancel', 'last', '--json']);
    expect([open.code, open.json['confirmed'], open.json['ended']]).toEqual([10, false, 0]);
  });

  test('flight wait exits as the flight ends, and 10 when the time is up', async () => {
    await node.run(['invoke', 'fabric', '--detach', 'exit 3']);
    expect((await node.run(['flight', 'wait', 'last'])).code).toBe(1);
    await node.run(['invoke', 'fabric', '--detach', 'hang']);
    const waited = await node.run(['flight', 'wait', 'last', '--timeout', '20ms', '--json']);
    expect([waited.code, waited.json['flight'].state]).toEqual([10, 'running']);
  });

  test('deliveries name the nodes; delivery show has its attempts', async () => {
    await node.run(['invoke', 'fabric', 'echo hi']);
    const { json } = await node.run(['deliveries', '--since', '1h', '--json']);
    expect(json['deliveries'][0]).toMatchObject({ id: expect.stringMatching(/^dlv_/), invocationId: expect.stringMatching(/^inv_/), from: 'laptop', target: '@fabric@laptop#main', status: 'received', attempts: 1 });
    expect((await node.run(['delivery', 'show', 'last', '--json'])).json).toMatchObject({ delivery: { from: 'laptop', to: 'desktop' }, attempts: [{ number: 1, outcome: 'received' }] });
  });

  test('trace has entries in order and names its gaps', async () => {
    await node.run(['invoke', 'fabric', 'echo hi']);
    const { json } = await node.run(['trace', 'last', '--json']);
    expect(json).toMatchObject({
      invocationId: expect.stringMatching(/^inv_/),
      entries: [{ node: 'laptop', at: expect.stringMatching(iso), hlc: '019ca9e8b400-0000', what: 'invocation.accepted', peer: 'desktop' }],
      gaps: [{ node: 'desktop', why: 'it is unreachable' }],
    });
  });

  test('down says when the process is gone, and exits 10 while it drains', async () => {
    const done = await node.run(['down', '--json']);
    expect([done.code, done.json]).toEqual([0, { stopped: true, pid: 4242 }]);
    const draining = await node.run(['down', '--timeout', '20ms', '--json'], { isAlive: () => true });
    expect([draining.code, draining.json]).toEqual([10, { stopped: false, pid: 4242, running: 2 }]);
  });
});

describe('every error of the node', () => {
  test.each(errorCodes)('%s exits by the table, in one line with its hint, and as a document with --json', async (errorCode) => {
    const failure = (): BrokerError =>
      new BrokerError(errorCode, 'it did not work', { hint: 'try another', candidates: [{ address: '@a@b#c', state: 'alive', lastSeenMs: 0, why: 'near' }] });
    node.broker.failure = failure();
    const words = await node.run(['agents']);
    expect([words.code, words.stdout]).toEqual([exitOfError(errorCode), '']);
    expect(words.stderr).toMatch(/^error: it did not work\n {2}@a@b#c {2}alive, last seen \S+ \S+, near\nhint: try another\n$/);
    node.broker.failure = failure();
    const document = await node.run(['agents', '--json']);
    expect([document.code, document.stderr]).toEqual([exitOfError(errorCode), '']);
    expect(document.json['error']).toEqual({
      code: errorCode,
      message: 'it did not work',
      hint: 'try another',
      candidates: [{ address: '@a@b#c', state: 'alive', lastSeen: '1970-01-01T00:00:00.000Z', why: 'near' }],
    });
  });
});

test('without a node each command that needs one exits 4 and says how to start it', async () => {
  await node.server.stop();
  for (const command of ['status', 'agents', 'flights', 'peers', 'down', 'deliveries']) {
    const { code, stderr } = await node.run([command]);
    expect([command, code, stderr]).toEqual([command, 4, 'error: no node is running here\nhint: start one: beckon up --detach\n']);
  }
});

test('a command for a node that is down starts one without network, and stops it', async () => {
  await node.server.stop();
  const other = await new FakeNode().start();
  const stopped: boolean[] = [];
  const ran = await node.run(['mesh', 'create', '--json'], {
    run: async ({ offline }) => {
      expect(offline).toBe(true);
      const stop = async (force: boolean): Promise<void> => void stopped.push(force);
      return { ready: { node: 'n', nodeId: laptop, listen: null, gossipListen: null, socket: other.socketPath }, notes: [], stopped: Promise.resolve(), stop, reload: () => Promise.resolve() };
    },
  });
  await other.stop();
  expect([ran.code, ran.json['mesh'].name, stopped]).toEqual([0, 'home', [false]]);
});

test('an empty list says what to do next, on stderr', async () => {
  for (const command of ['agents', 'flights', 'deliveries']) {
    const { code, stdout, stderr } = await node.run([command]);
    expect([code, stdout]).toEqual([0, '']);
    expect(stderr).toContain('beckon');
  }
});
