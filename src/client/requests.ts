/** What a client asks, as messages. */
import type { AgentSpec, Selector } from '../broker/api.ts';
import type { AgentFilter } from '../domain/agent-filter.ts';
import type * as agent from '../gen/beckon/v1/agent.ts';
import type * as wire from '../gen/beckon/v1/invoke.ts';
import { visibility } from '../rpc/enums.ts';
import { encodeTrace } from '../rpc/tracing.ts';
import { encodeSession, encodeTask } from '../rpc/work.ts';
import type { InvokeRequest } from './types.ts';

export function encodeSpec(spec: AgentSpec): agent.AddAgentRequest {
  return {
    name: spec.name ?? '',
    workspace: spec.workspace,
    harness: spec.harness ?? '',
    cwd: spec.cwd,
    permissions: spec.permissions,
    isolate: spec.isolate,
    concurrency: spec.concurrency,
    queue: spec.queue,
    isDefault: spec.isDefault,
    env: [...spec.env],
    labels: { ...spec.labels },
    capabilities: [...spec.capabilities],
    visibility: visibility.toWire(spec.visibility),
    argv: [...spec.argv],
    path: spec.path,
    description: spec.description,
  };
}

export function encodeAgentFilter(filter: AgentFilter): agent.AgentFilter {
  return {
    node: filter.node ?? '',
    pattern: filter.pattern ?? '',
    harness: filter.harness ?? '',
    capabilities: [...(filter.capabilities ?? [])],
    labels: { ...filter.labels },
    owner: filter.owner ?? '',
    availableOnly: filter.availableOnly ?? false,
  };
}

export function encodeSelector(selector: Selector): agent.Selector {
  return {
    address: selector.address,
    any: selector.any,
    all: selector.all,
    anyOwner: selector.anyOwner,
    harness: selector.harness ?? '',
    capabilities: [...selector.capabilities],
    labels: { ...selector.labels },
    cwd: selector.cwd,
  };
}

export function encodeInvoke(request: InvokeRequest): wire.InvokeRequest {
  return {
    selector: encodeSelector(request.selector),
    task: encodeTask(request.task),
    key: request.key ?? '',
    session: encodeSession(request.session),
    holdMs: request.holdMs,
    noHold: request.noHold,
    runLimitMs: request.runLimitMs,
    idleLimitMs: request.idleLimitMs,
    rerunnable: request.rerunnable,
    detach: request.detach ?? false,
    notify: request.notify ?? false,
    takesMore: true,
    ...encodeTrace(request.trace),
  };
}
