import { expect, test } from 'vitest';
import { AgentViews } from '../../../src/broker/agent-views.ts';
import type { AgentView } from '../../../src/broker/api.ts';
import { Candidates } from '../../../src/broker/candidates.ts';
import { RegistryIndex } from '../../../src/broker/registry-index.ts';
import type { RegistryState } from '../../../src/broker/registry-state.ts';
import type { Self } from '../../../src/broker/self.ts';
import type { NodeId } from '../../../src/domain/ids.ts';
import type { Mesh } from '../../../src/domain/mesh-port.ts';
import type { Store } from '../../../src/domain/store-port.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { nodeIdFor } from '../../support/temp-store.ts';

const me = nodeIdFor(0);

/** Each of these nodes has so many instances of one agent. */
function scene(nodes: number, instances: number, nameOf = (node: number): string => `node${node}`): { views: AgentViews; candidates: Candidates } {
  const [own, told] = [new RegistryIndex(), new RegistryIndex()];
  const members = new Map<NodeId, object>();
  for (let node = 1; node <= nodes; node += 1) {
    const nodeId = nodeIdFor(node);
    members.set(nodeId, { nodeId, name: nameOf(node), owner: 'ada', notBeforeMs: node, lastSeenMs: 1 });
    for (let each = 0; each < instances; each += 1) {
      const address = `@fabric@was${node}#w${String(each).padStart(3, '0')}`;
      told.add({ address, nodeId, harness: 'command', capabilities: [], labels: {}, visibility: 'mesh', description: `of ${node}`, isDefault: false, available: true }, `${node}/${each}`);
    }
  }
  const read = { member: (nodeId: NodeId) => members.get(nodeId), membersNamed: (name: string) => [...members.values()].filter((each) => 'name' in each && each.name === name) };
  const store = { read } as unknown as Store;
  const self = { nodeId: me, name: () => 'laptop', owner: () => 'ada', certifiedAtMs: () => 0, namedSinceMs: () => 0 } as unknown as Self;
  const state = { revision: 1, ownAgents: () => own, told: () => told } as unknown as RegistryState;
  const candidates = new Candidates({ store, self, state, mesh: () => ({ peers: () => [] }) as unknown as Mesh, clock: new FakeClock() });
  const registry = { page: candidates.page.bind(candidates), registration: candidates.registration.bind(candidates) };
  return { candidates, views: new AgentViews({ store, self, registry, presence: { shown: (view) => view }, nodes: { find: (name) => name as NodeId }, noteOf: () => undefined, sharesOf: () => [] }) };
}

test('ten thousand instances of one agent are shown in less than a second', () => {
  const { views } = scene(100, 100);
  const beganMs = performance.now();
  const all = views.all({});
  expect(performance.now() - beganMs).toBeLessThan(1000);
  expect(all).toHaveLength(10_000);
  expect(all.slice(0, 2).map(({ registration }) => [registration.address, registration.description])).toEqual([['@fabric@node1#w000', 'of 1'], ['@fabric@node1#w001', 'of 1']]);
});

test('each is shown under the name that its node has now, page by page in that order', () => {
  const { views } = scene(3, 3);
  const all = views.all({});
  const paged = [];
  for (let after: string | undefined, more = true; more; ) {
    const { items, next } = views.list({}, { limit: 2, ...(after === undefined ? {} : { after }) });
    paged.push(...items);
    [after, more] = [next, next !== undefined];
  }
  expect(paged).toEqual(all);
  expect(all.map(({ nodeName }) => nodeName)).toEqual(['node1', 'node1', 'node1', 'node2', 'node2', 'node2', 'node3', 'node3', 'node3']);
});

test('of two nodes with one name each agent is shown as its own node told of it', () => {
  const { views } = scene(2, 1, () => 'twin');
  const shown = (of: readonly AgentView[]): string[] => of.map(({ registration }) => `${registration.address} ${registration.description}`).toSorted();
  const twins = ['@fabric@twin#w000 of 1', '@fabric@twin#w000 of 2'];
  expect(shown(views.all({}))).toEqual(twins);
  const first = views.list({}, { limit: 1 });
  const second = views.list({}, { limit: 1, after: first.next ?? '' });
  expect(shown([...first.items, ...second.items])).toEqual(twins);
  expect(second.next).toBeUndefined();
});

test.each(['zzz', '', '@fabric@node1#w000', Buffer.from('flights:inv_01J9Z6M3T4V8Q2X7K5B1C0GRP1').toString('base64url')])('%j is no cursor of the list', (after) => {
  expect(() => scene(1, 1).views.list({}, { limit: 1, after })).toThrow('that cursor is none of this list');
});
