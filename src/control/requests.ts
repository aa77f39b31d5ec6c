/** What clients ask, as input of the use cases. Readers throw BrokerError `invalid`, naming the field. */
import type { AgentSpec, BrokerApi, InvokeAllInput, InvokeInput, LocalCaller, ReplyInput, Selector, ShareInput } from '../broker/api.ts';
import type { AgentFilter } from '../domain/agent-filter.ts';
import { admitKinds } from '../domain/admit-rule.ts';
import type { AdmitRule } from '../domain/admit-rule.ts';
import { invalid } from '../domain/errors.ts';
import { mostTargets } from '../domain/group.ts';
import { checkTaskSize, permissions } from '../domain/invocation.ts';
import { mostQueued } from '../domain/queue-share.ts';
import type { PageRequest } from '../domain/records.ts';
import { mostConcurrency } from '../domain/serving-port.ts';
import { quoted } from '../domain/text.ts';
import type * as admission from '../gen/beckon/v1/admission.ts';
import type * as agent from '../gen/beckon/v1/agent.ts';
import type * as wire from '../gen/beckon/v1/control.ts';
import type * as wireInvoke from '../gen/beckon/v1/invoke.ts';
import type * as inspection from '../gen/beckon/v1/inspection.ts';
import type * as sharing from '../gen/beckon/v1/sharing.ts';
import { deliveryState, flightState, visibility } from '../rpc/enums.ts';
import { list, name, optionalText, optionalWhole, present, required, text, texts, whole } from '../rpc/fields.ts';
import { decodeTrace } from '../rpc/tracing.ts';
import { decodeReply, decodeSession, decodeTask } from '../rpc/work.ts';

const longestPath = 4096;
const longestWord = 128 * 1024;
const defaultLimit = 100;
const maxLimit = 1000;
/** For the word of another node. */
export const longestWaitMs = 5 * 60_000;

export function decodeSpec(message: agent.AddAgentRequest): AgentSpec {
  const permission = permissions.find((each) => each === (message.permissions === '' ? 'ask' : message.permissions));
  if (permission === undefined) throw invalid(`permissions are one of ${permissions.join(', ')}, not ${quoted(message.permissions)}`);
  return {
    cwd: text(name(message.cwd, 'cwd'), 'cwd', longestPath),
    permissions: permission,
    isolate: message.isolate,
    isDefault: message.isDefault,
    env: list(message.env, 'env', 1000).map((each) => variable(text(each, 'env', longestWord))),
    labels: texts(message.labels, 'labels'),
    capabilities: list(message.capabilities, 'capabilities', 100).map((each) => name(each, 'capability')),
    visibility: visibility.optionalFromWire(message.visibility) ?? 'mesh',
    argv: list(message.argv, 'argv', 10_000).map((each) => withoutNul(text(each, 'argv', longestWord), 'an argument of the command')),
    path: text(message.path, 'path', longestWord),
    description: text(message.description, 'description', 1000),
    ...present({
      name: optionalText(message.name, 'name'),
      workspace: message.workspace === undefined ? undefined : text(message.workspace, 'workspace', 1024),
      harness: optionalText(message.harness, 'harness'),
      concurrency: within(message.concurrency, 'concurrency', mostConcurrency),
      queue: within(message.queue, 'queue', mostQueued),
    }),
  };
}

/** Its value stays out of the message: it may be a secret. */
function variable(entry: string): string {
  if (entry === '' || entry.startsWith('=')) throw invalid('an entry of the agent’s environment has no name', 'give NAME to pass the node’s value on, or NAME=VALUE');
  return withoutNul(entry, 'an entry of the agent’s environment');
}

/** No program could be started with it. */
function withoutNul(word: string, what: string): string {
  if (word.includes('\0')) throw invalid(`${what} has a NUL byte`, 'no argument and no variable of a program can hold one');
  return word;
}

function within(value: number | undefined, field: string, most: number): number | undefined {
  if (value === undefined || (value >= 1 && value <= most)) return value;
  throw invalid(`${field} is 1 to ${most}, not ${value}`);
}

/** Absent: all. */
export function decodeAgentFilter(filter: agent.AgentFilter | undefined): AgentFilter {
  if (filter === undefined) return {};
  return {
    capabilities: list(filter.capabilities, 'capabilities', 100).map((each) => name(each, 'capability')),
    labels: texts(filter.labels, 'labels'),
    availableOnly: filter.availableOnly,
    ...present({
      node: optionalText(filter.node, 'node'),
      pattern: filter.pattern === '' ? undefined : text(filter.pattern, 'pattern', longestPath),
      harness: optionalText(filter.harness, 'harness'),
      owner: optionalText(filter.owner, 'owner'),
    }),
  };
}

export function decodeSelector(message: agent.Selector | undefined): Selector {
  const selector = required(message, 'selector');
  return {
    address: text(selector.address, 'address', longestPath),
    any: selector.any,
    all: selector.all,
    anyOwner: selector.anyOwner,
    capabilities: list(selector.capabilities, 'capabilities', 100).map((each) => name(each, 'capability')),
    labels: texts(selector.labels, 'labels'),
    cwd: text(selector.cwd, 'cwd', longestPath),
    ...present({ harness: optionalText(selector.harness, 'harness') }),
  };
}

/** @param selectors how its selector is read: of many, equal ones may become one */
export function decodeInvoke(caller: LocalCaller, message: wireInvoke.InvokeRequest, selectors = { read: decodeSelector }): InvokeInput {
  const task = decodeTask(required(message.task, 'task'));
  checkTaskSize(task);
  return {
    caller,
    selector: selectors.read(message.selector),
    task,
    session: decodeSession(message.session),
    noHold: message.noHold,
    rerunnable: message.rerunnable,
    notify: message.notify,
    ...present({
      key: optionalText(message.key, 'key'),
      holdMs: optionalWhole(message.holdMs, 'hold_ms'),
      runLimitMs: optionalWhole(message.runLimitMs, 'run_limit_ms'),
      idleLimitMs: optionalWhole(message.idleLimitMs, 'idle_limit_ms'),
    }),
    ...decodeTrace(message),
  };
}

export function decodeInvokeAll(caller: LocalCaller, { invoke, confirmed, expected }: wireInvoke.InvokeAllRequest): InvokeAllInput {
  const input = decodeInvoke(caller, required(invoke, 'invoke'));
  const agreed = list(expected, 'expected', mostTargets).map((each) => name(each, 'expected'));
  return { ...input, selector: { ...input.selector, all: true }, confirmed, ...(agreed.length === 0 ? {} : { expected: agreed }) };
}

export function decodeShareInput({ id: by }: LocalCaller, message: sharing.ShareAgentRequest): ShareInput {
  return { address: text(message.address, 'address', longestPath), parties: list(message.with, 'with', 100).map((each) => text(each, 'with', 1000)), by };
}

export function decodeReplyInput(caller: LocalCaller, message: wire.ReplyToFlightRequest): ReplyInput {
  return {
    id: message.id,
    reply: decodeReply(message),
    by: caller.id,
    waitMs: Math.min(whole(message.waitMs, 'wait_ms'), longestWaitMs),
    ...present({ request: optionalText(message.request, 'request') }),
  };
}

/** A client that says no limit gets the usual one. */
export function decodePage(message: { readonly limit: number; readonly after: string }): PageRequest {
  const limit = message.limit === 0 ? defaultLimit : whole(message.limit, 'limit');
  if (limit > maxLimit) throw invalid(`a page has 1 to ${maxLimit} entries, not ${limit}`);
  return { limit, ...present({ after: optionalText(message.after, 'after') }) };
}

export function decodeFlightFilter(message: wire.ListFlightsRequest): Parameters<BrokerApi['listFlights']>[0] {
  return present({
    state: flightState.optionalFromWire(message.state),
    agent: optionalText(message.agent, 'agent'),
    node: optionalText(message.node, 'node'),
    group: optionalText(message.group, 'group'),
  });
}

export function decodeDeliveryFilter(message: inspection.ListDeliveriesRequest): Parameters<BrokerApi['listDeliveries']>[0] {
  return present({
    status: deliveryState.optionalFromWire(message.status),
    invocation: optionalText(message.invocation, 'invocation'),
    sinceMs: optionalWhole(message.sinceMs, 'since_ms'),
    node: optionalText(message.node, 'node'),
  });
}

export function decodeRule({ kind, value }: admission.AdmitRule): AdmitRule {
  const found = admitKinds.find((each) => each === kind);
  if (found === undefined) throw invalid(`a rule is about one of ${admitKinds.join(', ')}, not ${quoted(kind)}`);
  return { kind: found, value: text(value, 'value', 200) };
}
