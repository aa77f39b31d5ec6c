/** Records that a FakeBroker tells of. */
import type { Applicant } from '../../src/domain/admit-rule.ts';
import type { AgentSpec, AgentView, MemberView, NodeStatus } from '../../src/broker/api.ts';
import type { Hlc } from '../../src/domain/hlc.ts';
import type { PeerView } from '../../src/domain/mesh-port.ts';
import { asMeshId, deliveryOfInvocation, nodeIdOfPublicKey } from '../../src/domain/ids.ts';
import type { AgentId } from '../../src/domain/ids.ts';
import type { Delivery, Flight } from '../../src/domain/records.ts';

export const laptop = nodeIdOfPublicKey(new Uint8Array(32).fill(1));
export const desktop = nodeIdOfPublicKey(new Uint8Array(32).fill(2));
export const startMs = Date.UTC(2026, 2, 1, 14, 0, 0);
export const hlc = '019ca9e8b400-0000' as Hlc;

export const encode = (text: string): Uint8Array => new TextEncoder().encode(text);

export const fakeStatus: NodeStatus = {
  nodeId: laptop,
  name: 'laptop',
  owner: 'ada',
  epoch: startMs,
  version: '1.2.3',
  mesh: { id: asMeshId('mesh1'), name: 'home' },
  peers: { alive: 1 },
  flights: {},
  pid: 4242,
  listen: ['127.0.0.1:7423'],
  draining: false,
};

export const fakeApplicants: readonly Applicant[] = [
  { nodeId: desktop, name: 'server', address: '100.64.0.3:7423', tags: ['tag:broker'], sinceMs: startMs, why: 'it is tagged tag:broker, and no rule admits that' },
];

export const fakeMembers: readonly MemberView[] = [
  { name: 'laptop', nodeId: laptop, owner: 'ada', state: 'self' },
  { name: 'desktop', nodeId: desktop, owner: 'ada', state: 'alive' },
];

export const fakePeers: readonly PeerView[] = [{ nodeId: desktop, name: 'desktop', state: 'alive', why: 'linked', sinceMs: startMs, address: '127.0.0.1:7424', path: 'outbound', source: 'seed', rttMs: 1.25, lastSeenMs: startMs, version: '1.2.3' }];

export function agentView(name: string, spec: AgentSpec | undefined): AgentView {
  const address = `@${name}@laptop#main`;
  return {
    registration: {
      address,
      nodeId: laptop,
      harness: spec?.harness ?? 'command',
      capabilities: spec?.capabilities ?? [],
      labels: spec?.labels ?? {},
      visibility: spec?.visibility ?? 'mesh',
      description: '',
      isDefault: spec?.isDefault ?? false,
      available: spec?.argv[0] !== 'nowhere',
      ...(spec?.argv[0] === 'nowhere' ? { unavailableWhy: 'nowhere is not on PATH' } : {}),
    },
    endpoint: {
      agentId: 'agt_01J9Z6M3T4V8Q2X7K5B1C0D9EF' as AgentId,
      address,
      harness: spec?.harness ?? 'command',
      cwd: spec?.cwd ?? '/',
      argv: spec?.argv ?? [],
      env: spec?.env ?? [],
      path: spec?.path ?? '',
      permissions: spec?.permissions ?? 'ask',
      isolate: spec?.isolate ?? false,
    },
    nodeName: 'laptop',
    owner: 'ada',
    state: 'here',
    shares: [{ with: 'all' }, { with: 'node', name: 'desktop', nodeId: desktop }, { with: 'person', name: 'bob' }],
  };
}

export function deliveryOf(flight: Flight): Delivery {
  return {
    id: deliveryOfInvocation(flight.invocationId),
    invocationId: flight.invocationId,
    fromNodeId: laptop,
    toNodeId: desktop,
    target: flight.target,
    status: flight.receivedAtMs === undefined ? 'deferred' : 'received',
    attempts: 1,
    createdAtMs: startMs,
    updatedAtMs: startMs,
  };
}
