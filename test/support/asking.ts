/** What tests ask of a node, as plain as it can be: an agent, a call of one. Each takes what is different in the case at hand. */
import type { AgentSpec, InvokeInput, Selector } from '../../src/broker/api.ts';
import type { FlightUpdate, InvokeRequest, NodeClient } from '../../src/client/types.ts';

type Accepted = Extract<FlightUpdate, { type: 'accepted' }>;

export function selectorOf(address: string, changed: Partial<Selector> = {}): Selector {
  return { address, any: false, all: false, anyOwner: false, capabilities: [], labels: {}, cwd: '/', ...changed };
}

/** One agent, in a session of its own. */
export function requestOf(address: string, task: string | Uint8Array = '', changed: Partial<InvokeRequest> = {}): InvokeRequest {
  const text = typeof task === 'string' ? new TextEncoder().encode(task) : task;
  return { selector: selectorOf(address), task: { text, files: [] }, session: { mode: 'new' }, noHold: false, rerunnable: false, ...changed };
}

/** The same of a broker, by the node's user. */
export function inputOf(address: string, task: string | Uint8Array = '', changed: Partial<InvokeInput> = {}): InvokeInput {
  return { caller: { id: 'uid:1' }, ...requestOf(address, task), ...changed };
}

/** One that says what it is asked. */
export function specOf(changed: Partial<AgentSpec> = {}): AgentSpec {
  return {
    ...{ cwd: '/', permissions: 'ask', isolate: false, isDefault: false, env: [], labels: {}, capabilities: [], visibility: 'mesh' },
    ...{ argv: ['cat'], path: process.env['PATH'] ?? '/usr/bin:/bin', description: '' },
    ...changed,
  };
}

/** As soon as it is, and left to itself. */
export async function accepted(client: Pick<NodeClient, 'invoke'>, request: InvokeRequest): Promise<Accepted> {
  for await (const update of client.invoke({ ...request, detach: true })) if (update.type === 'accepted') return update;
  throw new Error('nothing was accepted');
}
