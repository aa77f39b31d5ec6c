/** Which trace an invocation belongs to, and what of it is told to whoever works on it next. */
import type { GroupId, InvocationId, NodeId } from '../domain/ids.ts';
import type { Invocation } from '../domain/invocation.ts';
import type { Digest } from '../domain/ports.ts';
import { isAmong, spanIdOf, traceIdOf } from '../domain/span-ids.ts';
import type { Step } from '../domain/span-ids.ts';
import { formatTraceContext, traceparentVariable, tracestateVariable } from '../domain/trace-context.ts';
import type { TraceContext } from '../domain/trace-context.ts';

/** How this node tells spans; it tells none where that is absent, and passes on what it is given. */
export interface SpanWish {
  /** Of the traces that begin here, 0 to 1. */
  readonly ratio: number;
}

export interface FlightTracesParts {
  readonly nodeId: NodeId;
  readonly digest: Digest;
  readonly wish: SpanWish | undefined;
}

type Traced = Pick<Invocation, 'id' | 'trace'>;

export class FlightTraces {
  readonly #parts: FlightTracesParts;

  constructor(parts: FlightTracesParts) {
    this.#parts = parts;
  }

  /** @param given what its caller says, or what the flight has that calls */
  begin(given: TraceContext | undefined, id: InvocationId, groupId?: GroupId): { readonly trace?: TraceContext } {
    if (given !== undefined) return { trace: given };
    const { wish, digest } = this.#parts;
    if (wish === undefined) return {};
    const traceId = traceIdOf(digest, groupId ?? id);
    // A hash is as good as random.
    return { trace: { traceId, flags: 2 + (isAmong(traceId, wish.ratio) ? 1 : 0) } };
  }

  /** As an attempt carries it to the owner. */
  forwarded<Each extends Traced>(invocation: Each, attempt: number): Each {
    const trace = this.#below(invocation, `forward ${attempt}`);
    return trace === undefined ? invocation : { ...invocation, trace };
  }

  /** At its owner. The trace of one that comes without begins here. */
  received<Each extends Traced>(invocation: Each): Each {
    return this.#parts.wish === undefined || invocation.trace !== undefined ? invocation : { ...invocation, ...this.begin(undefined, invocation.id) };
  }

  /** Of what an agent calls in its turn. */
  ofRun(invocation: Traced, run: number): TraceContext | undefined {
    return this.#below(invocation, `run ${run}`);
  }

  /** Of another try at the same. */
  ofAnother(invocation: Traced): TraceContext | undefined {
    return this.#below(invocation, 'invoke');
  }

  /** For the processes of a run. */
  environment(invocation: Traced, run: number): Readonly<Record<string, string>> {
    const trace = invocation.trace === undefined ? undefined : this.ofRun(invocation, run);
    const headers = trace === undefined ? undefined : formatTraceContext(trace);
    if (headers === undefined) return {};
    return { [traceparentVariable]: headers.traceparent, ...(headers.tracestate === undefined ? {} : { [tracestateVariable]: headers.tracestate }) };
  }

  /** Whoever tells no span passes on whose it was given: a parent that nobody tells would be none. */
  #below({ id: invocationId, trace }: Traced, step: Step): TraceContext | undefined {
    const { wish, digest, nodeId } = this.#parts;
    if (trace === undefined || wish === undefined) return trace;
    return { ...trace, parentId: spanIdOf(digest, { traceId: trace.traceId, invocationId, nodeId }, step) };
  }
}
