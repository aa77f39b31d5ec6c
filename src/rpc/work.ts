/** Invocation, task and flight events: wire and domain. Decoders throw BrokerError `invalid` or `incompatible`. */
import type { FlightEvent, FlightEventBody, Outcome } from '../domain/flight-event.ts';
import { isTerminal } from '../domain/flight.ts';
import { invalid } from '../domain/errors.ts';
import { isInvocationId, isNodeId, isSessionId } from '../domain/ids.ts';
import type { Invocation, Limits, SessionChoice, Task } from '../domain/invocation.ts';
import { longestReply } from '../domain/request.ts';
import type { Reply } from '../domain/request.ts';
import type * as wire from '../gen/beckon/v1/record.ts';
import { flightState, outputStream, replyKind, sessionMode, waitingReason } from './enums.ts';
import { decodeOptionalErrorInfo, encodeErrorInfo } from './error-info.ts';
import { decodeProgress, encodeProgress } from './progress.ts';
import { buffer, bytes, clockValue, id, list, name, optionalId, optionalText, optionalWhole, present, required, text, whole } from './fields.ts';
import { decodeTrace, encodeTrace } from './tracing.ts';
import { decodeWorktreeStart, encodeWorktreeStart } from './worktrees.ts';

/** Files of one task; far more than anybody attaches, and few enough to hold in memory. */
const mostFiles = 1000;
/** More than a node of any version accepts: what is over its own limit it refuses with a reason. */
const mostAncestors = 64;

export function encodeTask(task: Task): wire.Task {
  return {
    text: buffer(task.text),
    files: task.files.map((file) => ({ name: file.name, content: buffer(file.bytes) })),
  };
}

/** Its size is for the caller to judge: `checkTaskSize`. */
export function decodeTask(message: wire.Task): Task {
  const files = list(message.files, 'task.files', mostFiles);
  return {
    text: bytes(message.text),
    files: files.map((file) => ({ name: name(file.name, 'file.name'), bytes: bytes(file.content) })),
  };
}

export function encodeSession(session: SessionChoice): wire.SessionChoice {
  return { mode: sessionMode.toWire(session.mode), name: session.mode === 'named' ? session.name : '' };
}

/** An absent session means a new one. */
export function decodeSession(message: wire.SessionChoice | undefined): SessionChoice {
  const mode = message === undefined ? 'new' : (sessionMode.optionalFromWire(message.mode) ?? 'new');
  return mode === 'named' ? { mode, name: name(message?.name ?? '', 'session.name') } : { mode };
}

export function encodeLimits(limits: Limits): wire.Limits {
  return { holdMs: limits.holdMs, totalMs: limits.totalMs, runMs: limits.runMs, idleMs: limits.idleMs };
}

export function decodeLimits(message: wire.Limits): Limits {
  return {
    holdMs: whole(message.holdMs, 'limits.hold_ms'),
    totalMs: whole(message.totalMs, 'limits.total_ms'),
    ...present({
      runMs: optionalWhole(message.runMs, 'limits.run_ms'),
      idleMs: optionalWhole(message.idleMs, 'limits.idle_ms'),
    }),
  };
}

export function encodeInvocation(invocation: Invocation): wire.Invocation {
  const { ancestry } = invocation;
  return {
    id: invocation.id,
    originNodeId: invocation.originNodeId,
    caller: invocation.caller,
    addressTyped: invocation.addressTyped,
    target: invocation.target,
    ownerNodeId: invocation.ownerNodeId,
    session: encodeSession(invocation.session),
    limits: encodeLimits(invocation.limits),
    rerunnable: invocation.rerunnable,
    parentId: ancestry.parentId ?? '',
    rootId: ancestry.rootId,
    depth: ancestry.depth,
    redriveOf: invocation.redriveOf ?? '',
    acceptedAtMs: invocation.acceptedAtMs,
    ancestorTargets: [...ancestry.path],
    ...encodeTrace(invocation.trace),
  };
}

export function decodeInvocation(message: wire.Invocation): Invocation {
  return {
    id: id(isInvocationId, message.id, 'invocation.id'),
    originNodeId: id(isNodeId, message.originNodeId, 'invocation.origin_node_id'),
    caller: name(message.caller, 'invocation.caller'),
    addressTyped: text(message.addressTyped, 'invocation.address_typed', 4096),
    target: name(message.target, 'invocation.target'),
    ownerNodeId: id(isNodeId, message.ownerNodeId, 'invocation.owner_node_id'),
    session: decodeSession(message.session),
    limits: decodeLimits(required(message.limits, 'invocation.limits')),
    rerunnable: message.rerunnable,
    ancestry: {
      rootId: id(isInvocationId, message.rootId, 'invocation.root_id'),
      depth: whole(message.depth, 'invocation.depth'),
      path: list(message.ancestorTargets, 'invocation.ancestor_targets', mostAncestors).map((each) => name(each, 'invocation.ancestor_targets')),
      ...present({ parentId: optionalId(isInvocationId, message.parentId, 'invocation.parent_id') }),
    },
    acceptedAtMs: whole(message.acceptedAtMs, 'invocation.accepted_at_ms'),
    ...present({ redriveOf: optionalId(isInvocationId, message.redriveOf, 'invocation.redrive_of') }),
    ...decodeTrace(message),
  };
}

export function encodeReply(reply: Reply): { kind: wire.ReplyKind; text: string } {
  return { kind: replyKind.toWire(reply.kind), text: reply.kind === 'text' ? reply.text : '' };
}

export function decodeReply(message: { readonly kind: number; readonly text: string }): Reply {
  const kind = replyKind.fromWire(message.kind);
  return kind === 'text' ? { kind, text: text(message.text, 'reply.text', longestReply) } : { kind };
}

export function encodeFlightEvent(event: FlightEvent): wire.FlightEvent {
  return { seq: event.seq, atMs: event.atMs, hlc: event.hlc, body: encodeBody(event.body) };
}

export function decodeFlightEvent(message: wire.FlightEvent): FlightEvent {
  const seq = whole(message.seq, 'event.seq');
  if (seq === 0) throw invalid('event.seq counts from 1');
  return {
    seq,
    atMs: whole(message.atMs, 'event.at_ms'),
    hlc: clockValue(message.hlc, 'event.hlc'),
    body: decodeBody(message.body),
  };
}

function encodeBody(body: FlightEventBody): wire.FlightEvent['body'] {
  switch (body.kind) {
    case 'started':
      return { $case: 'started', value: { run: body.run, sessionId: body.session ?? '', worktree: body.worktree === undefined ? undefined : encodeWorktreeStart(body.worktree) } };
    case 'requeued':
      return { $case: 'requeued', value: { run: body.run } };
    case 'output':
      return { $case: 'output', value: { stream: outputStream.toWire(body.stream), content: buffer(body.bytes) } };
    case 'waiting':
      return {
        $case: 'waiting',
        value: {
          reason: waitingReason.toWire(body.reason),
          request: body.request,
          prompt: body.prompt,
          choices: [...body.choices],
          untilMs: body.untilMs,
        },
      };
    case 'resumed':
      return { $case: 'resumed', value: {} };
    case 'tool':
    case 'plan':
    case 'diff':
    case 'thought':
    case 'usage':
      return encodeProgress(body);
    case 'unknown':
      return undefined;
    case 'finished':
      return {
        $case: 'finished',
        value: {
          state: flightState.toWire(body.state),
          exitCode: body.exitCode,
          error: body.error === undefined ? undefined : encodeErrorInfo(body.error),
          ended: body.ended,
          signal: body.signal ?? '',
        },
      };
  }
}

function decodeBody(body: wire.FlightEvent['body']): FlightEventBody {
  switch (body?.$case) {
    case 'started':
      return {
        kind: 'started',
        run: whole(body.value.run, 'event.run'),
        ...present({
          session: optionalId(isSessionId, body.value.sessionId, 'event.session_id'),
          worktree: body.value.worktree === undefined ? undefined : decodeWorktreeStart(body.value.worktree),
        }),
      };
    case 'requeued':
      return { kind: 'requeued', run: whole(body.value.run, 'event.run') };
    case 'output':
      return output(body.value);
    case 'waiting':
      return {
        kind: 'waiting',
        // Whatever it waits for, a person can answer it in words.
        reason: waitingReason.fromWireOr(body.value.reason, 'input'),
        request: text(body.value.request, 'waiting.request'),
        prompt: text(body.value.prompt, 'waiting.prompt'),
        choices: list(body.value.choices, 'waiting.choices', 100).map((choice) => text(choice, 'waiting.choice')),
        ...present({ untilMs: optionalWhole(body.value.untilMs, 'waiting.until_ms') }),
      };
    case 'resumed':
      return { kind: 'resumed' };
    case 'finished':
      return { kind: 'finished', ...outcome(body.value) };
    case 'tool':
    case 'plan':
    case 'diff':
    case 'thought':
    case 'usage':
      return decodeProgress(body);
    case undefined:
      return unknownEvent;
  }
}

/** What only a newer version can say. Skipped, it would leave a gap in `seq` and hold up all that follows. */
const unknownEvent: FlightEventBody = { kind: 'unknown' };

function output(message: wire.FlightOutput): FlightEventBody {
  const stream = outputStream.knownFromWire(message.stream);
  if (stream !== undefined) return { kind: 'output', stream, bytes: bytes(message.content) };
  if (message.stream === 0) throw invalid('the output stream is missing');
  return unknownEvent;
}

function outcome(message: wire.FlightFinished): Outcome {
  const state = flightState.knownFromWire(message.state);
  if (state === undefined && message.state !== 0) return unknownEnd(message.state);
  if (state === undefined || !isTerminal(state)) throw invalid(`a flight can’t finish as ${state ?? 'nothing'}`);
  return {
    state,
    ...present({
      exitCode: message.exitCode,
      error: decodeOptionalErrorInfo(message.error),
      ended: optionalWhole(message.ended, 'finished.ended'),
      signal: optionalText(message.signal, 'finished.signal'),
    }),
  };
}

/** It is over, and how can't be told here: never taken for an end that this version knows. */
function unknownEnd(state: number): Outcome {
  return {
    state: 'indeterminate',
    error: { code: 'incompatible', message: `it ended in a state (${state}) that only a newer version of Beckon knows`, hint: 'update Beckon on this machine' },
  };
}
