/** What a program says when it invokes an agent, and what the node is asked for it. */
import { BrokerError } from '../domain/errors.ts';
import type { SessionChoice, TaskFile } from '../domain/invocation.ts';
import type { TraceContext, TraceHeaders } from '../domain/trace-context.ts';
import type { CallOptions } from './call.ts';
import type { InvokeRequest } from './types.ts';

/** Text stands for its UTF-8. */
export type Content = string | Uint8Array;

export interface InvokeOptions extends CallOptions {
  /** By name, as the agent sees them: base names, never paths. */
  readonly files?: Readonly<Record<string, Content>>;
  /** One invocation for each key of this user, however often it is asked for. With one, a lost connection is mended before acceptance too. */
  readonly key?: string;
  /** Of the agent, where it keeps sessions: the newest, or the one named; a new one by default. */
  readonly session?: 'new' | 'continue' | { readonly id: string };
  /** How long it may wait to be started, ms; 24 h by default. */
  readonly holdMs?: number;
  /** Only if its node is reached at once. */
  readonly noHold?: boolean;
  /** How long one run may take, ms. */
  readonly runLimitMs?: number;
  /** How long the agent may be silent, ms; its silence while it waits for an answer does not count. */
  readonly idleLimitMs?: number;
  /** Have the node tell its person when it waits and when it has finished. */
  readonly notify?: boolean;
  /** It may be run again when its node died while it ran. */
  readonly rerunnable?: boolean;
  /** Of several agents that match, any. */
  readonly any?: boolean;
  /** Also agents of other owners' nodes. */
  readonly anyOwner?: boolean;
  readonly harness?: string;
  readonly capabilities?: readonly string[];
  readonly labels?: Readonly<Record<string, string>>;
  /**
   * W3C trace context that it is a part of, or `false` for none. By default that of the span that is active in
   * OpenTelemetry, else of TRACEPARENT in the environment. One that is malformed is none.
   */
  readonly trace?: TraceHeaders | false;
}

/** Of all that match: the key stands for all of them together. */
export interface InvokeAllOptions extends Omit<InvokeOptions, 'any' | 'session'> {
  /** A new session of each by default, or the newest of each. */
  readonly session?: 'new' | 'continue';
}

export function bytesOf(content: Content): Uint8Array {
  return typeof content === 'string' ? new TextEncoder().encode(content) : content;
}

/** @param cwd what `.` stands for @param trace that it is a part of */
export function requestOf(address: string, task: Content, options: InvokeOptions, cwd: string, trace: TraceContext | undefined): InvokeRequest {
  const { key, holdMs, runLimitMs, idleLimitMs, notify, harness } = options;
  return {
    selector: {
      ...{ address, any: options.any ?? false, all: false, anyOwner: options.anyOwner ?? false, cwd },
      ...{ capabilities: options.capabilities ?? [], labels: options.labels ?? {} },
      ...(harness === undefined ? {} : { harness }),
    },
    task: { text: bytesOf(task), files: Object.entries(options.files ?? {}).map(([name, content]): TaskFile => ({ name, bytes: bytesOf(content) })) },
    session: sessionOf(options.session ?? 'new'),
    noHold: options.noHold ?? false,
    rerunnable: options.rerunnable ?? false,
    ...(key === undefined ? {} : { key }),
    ...(holdMs === undefined ? {} : { holdMs }),
    ...(runLimitMs === undefined ? {} : { runLimitMs }),
    ...(idleLimitMs === undefined ? {} : { idleLimitMs }),
    ...(notify === undefined ? {} : { notify }),
    ...(trace === undefined ? {} : { trace }),
  };
}

function sessionOf(session: NonNullable<InvokeOptions['session']>): SessionChoice {
  if (typeof session === 'object') return { mode: 'named', name: session.id };
  if (session === 'new' || session === 'continue') return { mode: session };
  throw new BrokerError('invalid', `a session is 'new', 'continue' or { id }, not ${String(session)}`);
}
