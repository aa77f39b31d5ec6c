/** What the control socket gives to a process of a flight. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { LocalCaller } from '../../src/broker/api.ts';
import { connect } from '../../src/client/connect.ts';
import type { GrpcNodeClient } from '../../src/client/grpc-client.ts';
import type { NodeClient } from '../../src/client/types.ts';
import { flightIdOf, invocationIdOf } from '../../src/domain/ids.ts';
import { ControlServiceService } from '../../src/gen/beckon/v1/control.ts';
import { fromCall } from '../../src/rpc/status.ts';
import { FakeNode } from '../support/fake-node.ts';

const ulid = '01J9Z6M3T4V8Q2X7K5B1C0D9EF';
const invocationId = invocationIdOf(ulid);
const caller: LocalCaller = {
  id: 'agent:@fabric@laptop#main',
  flight: { flightId: flightIdOf(ulid), invocationId, target: '@fabric@laptop#main', ancestry: { rootId: invocationId, depth: 0, path: [] } },
};
const selector = { address: 'fabric', any: false, all: false, anyOwner: false, capabilities: [], labels: {}, cwd: '/' };
const request = { selector, task: { text: new TextEncoder().encode('hi'), files: [] }, session: { mode: 'new' }, noHold: false, rerunnable: false } as const;
const page = { limit: 10 };
const spec = {
  cwd: '/', permissions: 'ask', isolate: false, isDefault: false, env: ['KEY=secret'], labels: {}, capabilities: [], visibility: 'mesh', argv: ['cat'], path: '/bin', description: '',
} as const;

let node: FakeNode;
let agent: NodeClient;
let person: NodeClient;
beforeEach(async () => {
  node = await new FakeNode().start();
  node.broker.callers.set('good', caller);
  agent = await connect({ socketPath: node.socketPath, flightToken: 'good' });
  person = await connect({ socketPath: node.socketPath });
});
afterEach(async () => {
  agent.close();
  person.close();
  await node.stop();
});

async function all<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const found: Item[] = [];
  for await (const item of items) found.push(item);
  return found;
}

test('an invocation is the agent’s, and a person’s is the user’s', async () => {
  await all(agent.invoke(request));
  await all(person.invoke(request));
  expect(node.broker.invoked.map((each) => each.caller)).toEqual([caller, { id: `uid:${process.getuid?.()}` }]);
});

test('a token that the node does not know is refused, whatever is asked', async () => {
  const stranger = await connect({ socketPath: node.socketPath, flightToken: 'bad' });
  await expect(stranger.status()).rejects.toMatchObject({ code: 'unauthenticated' });
  await expect(all(stranger.invoke(request))).rejects.toMatchObject({ code: 'unauthenticated' });
  stranger.close();
});

describe('calls that change the node, or tell of others', () => {
  const closed: Readonly<Record<string, (client: NodeClient) => Promise<unknown>>> = {
    shutdown: (client) => client.shutdown(true),
    addAgent: (client) => client.addAgent(spec),
    removeAgent: (client) => client.removeAgent('fabric'),
    scanProjects: (client) => client.scanProjects({ directories: [], cwd: '/', path: '' }),
    approveProjects: (client) => client.approveProjects({ approvals: [{ root: '/shop', fingerprint: 'aa' }], path: '' }),
    forgetProject: (client) => client.forgetProject('/shop'),
    shareAgent: (client) => client.shareAgent({ address: 'fabric', parties: [] }),
    unshareAgent: (client) => client.unshareAgent({ address: 'fabric', parties: [] }),
    listDeliveries: (client) => client.listDeliveries({}, page),
    getDelivery: (client) => client.getDelivery('last'),
    watchAgents: (client) => all(client.watchAgents({})),
    watchPeers: (client) => all(client.watchPeers()),
    tail: (client) => all(client.tail({ noFollow: true })),
    report: (client) => client.report(0),
    export: (client) => all(client.export({})),
    ping: (client) => client.ping('desktop'),
    diagnose: (client) => client.diagnose(),
    showConfig: (client) => client.showConfig(),
    showPolicy: (client) => client.showPolicy(),
    checkPolicy: (client) => client.checkPolicy({ caller: 'bob', verb: 'invoke', address: 'fabric' }),
    backup: (client) => client.backup('/tmp/never.db'),
    backupInSteps: (client) => client.backup('/tmp/never.db', () => undefined),
    serve: (client) => all((client as GrpcNodeClient).openServe()).catch((error: unknown) => Promise.reject(fromCall(error))),
    replyToFlight: (client) => client.replyToFlight({ id: 'last', reply: { kind: 'approved' }, waitMs: 0 }),
    listWaiting: (client) => client.listWaiting(),
    redriveDelivery: (client) => client.redriveDelivery('last', true),
    createMesh: (client) => client.createMesh({ new: true }),
    createInvite: (client) => client.createInvite({}),
    renameNode: (client) => client.renameNode('studio'),
    leaveMesh: (client) => client.leaveMesh({ force: false, confirmed: true, waitMs: 0 }),
    addIssuer: (client) => client.addIssuer('desktop'),
    exportRecovery: (client) => client.exportRecovery({ path: '/tmp/never', passphrase: 'twelve letters', move: false }),
    importRecovery: (client) => client.importRecovery({ path: '/tmp/never', passphrase: 'twelve letters' }),
    removeMember: (client) => client.removeMember('desktop'),
    joinMesh: (client) => client.joinMesh('token'),
    listMembers: (client) => client.members(),
    listPending: (client) => client.pending(),
    listAudit: (client) => client.listAudit({}, page),
    checkAudit: (client) => client.checkAudit({ whole: true }),
    noteAudit: (client) => client.noteAudit(),
    admit: (client) => client.admit({ rules: [{ kind: 'tag', value: 'tag:x' }] }),
  };

  test.each(Object.entries(closed))('%s is refused', async (_name, call) => {
    let isDown = false;
    node.broker.onShutdown = () => {
      isDown = true;
    };
    await expect(call(agent)).rejects.toMatchObject({ code: 'denied', message: expect.stringContaining('an agent at work may not do this') });
    expect([isDown, node.broker.specs, node.broker.joined, node.broker.projects.asked, node.broker.projects.approved, node.broker.shared, node.broker.unshared]).toEqual([false, [], [], [], [], [], []]);
  });

  test('are all calls but those that are known to be open', () => {
    const open = ['getStatus', 'listAgents', 'getAgent', 'resolve', 'listPeers', 'invoke', 'submit', 'calls', 'invokeAll', 'getGroup', 'followFlight', 'listFlights', 'getFlight', 'readOutput', 'cancelFlight', 'trace', 'readDiff', 'settleWorktree'];
    expect(Object.keys(ControlServiceService).filter((name) => !open.includes(name)).toSorted()).toEqual(Object.keys(closed).toSorted());
  });
});

describe('calls about one flight', () => {
  const about: Readonly<Record<string, (client: NodeClient, id: string) => Promise<unknown>>> = {
    follow: (client, id) => all(client.follow(id)),
    show: (client, id) => client.getFlight(id),
    output: (client, id) => all(client.output(id, 'stdout')),
    trace: (client, id) => client.trace(id),
    diff: (client, id) => all(client.readDiff(id)),
    discard: (client, id) => client.settleWorktree({ id, verb: 'discarded' }).catch((error: { code: string }) => (error.code === 'conflict' ? undefined : Promise.reject(error))),
    cancel: (client, id) => client.cancelFlight(id, 0).catch((error: { code: string }) => (error.code === 'conflict' ? undefined : Promise.reject(error))),
  };

  test.each(Object.entries(about))('%s: its own family is open, the rest is not', async (_name, call) => {
    const [accepted] = await all(person.invoke(request));
    const id = accepted?.type === 'accepted' ? accepted.flightId : '';
    await expect(call(agent, id)).rejects.toMatchObject({ code: 'denied' });
    expect([node.broker.cancelled, node.broker.work.settled]).toEqual([[], []]);
    node.broker.family.add(id);
    await call(agent, id);
    await call(person, id);
  });
});

test('a list of flights is asked for the family alone', async () => {
  const asked: unknown[] = [];
  const { broker } = node;
  const list = broker.listFlights.bind(broker);
  broker.listFlights = (filter, wanted) => {
    asked.push(filter);
    return list(filter, wanted);
  };
  await agent.listFlights({}, page);
  await person.listFlights({}, page);
  expect(asked).toEqual([{ family: invocationId }, {}]);
});

test('agents are shown without their endpoints, which hold their environments', async () => {
  await person.addAgent({ ...spec, name: 'fabric' });
  const shown = async (client: NodeClient) => [await client.getAgent('fabric'), ...(await client.listAgents({}, page)).items].map((each) => each.endpoint !== undefined);
  expect(await shown(person)).toContain(true);
  expect(await shown(agent)).not.toContain(true);
});
