/** Records that a FakeBroker tells of. */
import type { AgentSpec, AgentView } from '../../src/broker/api.ts';
import { deliveryOfInvocation, nodeIdOfPublicKey } from '../../src/domain/ids.ts';
import type { AgentId } from '../../src/domain/ids.ts';
import type { Delivery, Flight } from '../../src/domain/records.ts';

export const laptop = nodeIdOfPublicKey(new Uint8Array(32).fill(1));
export const desktop = nodeIdOfPublicKey(new Uint8Array(32).fill(2));
export const startMs = Date.UTC(2026, 2, 1, 14, 0, 0);

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
