/**
 * The spans of an invocation as one of its nodes has them, derived from its facts alone: a span is told when the fact
 * that ends it is stored, and is the same whenever it is told.
 */
import { parseAddress } from './address.ts';
import type { EventKind, Fact } from './event.ts';
import type { NodeId } from './ids.ts';
import type { Invocation } from './invocation.ts';
import type { Digest } from './ports.ts';
import type { Span, SpanAttributes, SpanEvent, SpanKind } from './span.ts';
import { spanIdOf } from './span-ids.ts';
import type { Step } from './span-ids.ts';
import type { TraceContext } from './trace-context.ts';

/** What is stored at a node of one invocation, up to a moment. */
export interface FlightStory {
  readonly invocation: Invocation;
  /** When it came here and when its first run began, which its facts may not reach back to. */
  readonly receivedAtMs?: number;
  readonly startedAtMs?: number;
  /** In the order in which they were written, the newest ones of very many. */
  readonly facts: readonly Fact[];
  /** From this one on they are new: what they end was not told. */
  readonly newFrom: number;
}

/** Facts that end a span, at one node or another. */
export const closingKinds = [
  'invocation.accepted',
  'delivery.sent',
  'delivery.deferred',
  'delivery.received',
  'delivery.rejected',
  'delivery.dead',
  'delivery.cancelled',
  'flight.started',
  'flight.requeued',
  'flight.finished',
  'flight.refined',
] as const satisfies readonly EventKind[];

/** Facts that are events of the span of all. */
const told: ReadonlySet<EventKind> = new Set(['flight.started', 'flight.waiting', 'flight.resumed', 'flight.requeued', 'flight.cancel_requested', 'flight.reply_given']);
const mostEvents = 100;

export function spansOf(story: FlightStory, nodeId: NodeId, digest: Digest): readonly Span[] {
  const { trace } = story.invocation;
  return trace === undefined ? [] : new Telling(story, trace, nodeId, digest).spans();
}

/** A span that has begun. */
interface Open {
  readonly step: Step;
  readonly atMs: number;
  readonly attributes: SpanAttributes;
}

interface Closing {
  readonly kind?: SpanKind;
  readonly attributes?: SpanAttributes;
  readonly events?: readonly SpanEvent[];
  /** Why it did not do what it was for. */
  readonly error?: string | undefined;
}

class Telling {
  readonly #story: FlightStory;
  readonly #trace: TraceContext;
  readonly #nodeId: NodeId;
  readonly #digest: Digest;
  readonly #isOrigin: boolean;
  readonly #isOwner: boolean;
  readonly #spans: Span[] = [];
  readonly #events: SpanEvent[] = [];
  #hold: Open | undefined;
  #forward: Open | undefined;
  /** From its arrival at the owner, or from the end of a run that is repeated, to its start. */
  #start: Open | undefined;
  #run: Open | undefined;
  #runEvents: SpanEvent[] = [];
  #attempts = 0;
  /** Whether what the fact at hand ends is to be told. */
  #isNew = false;

  constructor(story: FlightStory, trace: TraceContext, nodeId: NodeId, digest: Digest) {
    const { originNodeId, ownerNodeId } = story.invocation;
    this.#story = story;
    this.#trace = trace;
    this.#nodeId = nodeId;
    this.#digest = digest;
    this.#isOrigin = originNodeId === nodeId;
    this.#isOwner = ownerNodeId === nodeId;
  }

  spans(): readonly Span[] {
    for (const [index, fact] of this.#story.facts.entries()) {
      this.#isNew = index >= this.#story.newFrom;
      this.#take(fact);
      if (told.has(fact.what)) this.#note(fact);
    }
    return this.#spans;
  }

  #take(fact: Fact): void {
    const { atMs, detail } = fact;
    switch (fact.what) {
      case 'invocation.accepted':
        this.#close({ step: 'accept', atMs: this.#story.invocation.acceptedAtMs, attributes: {} }, atMs);
        return;
      case 'invocation.received':
        this.#start = { step: 'start 1', atMs, attributes: {} };
        return;
      case 'delivery.deferred':
        this.#closeForward(atMs, detail['reason']);
        this.#hold ??= { step: `hold ${this.#attempts}`, atMs, attributes: { 'beckon.hold.reason': detail['reason'] ?? '' } };
        return;
      case 'delivery.sent':
        this.#attempts = Number(detail['attempt'] ?? this.#attempts + 1);
        this.#closeHold(atMs);
        this.#forward = { step: `forward ${this.#attempts}`, atMs, attributes: { 'beckon.delivery.attempt': this.#attempts, ...this.#message('forward', 'send') } };
        return;
      case 'delivery.received':
        this.#closeForward(atMs);
        return;
      case 'delivery.rejected':
      case 'delivery.dead':
      case 'delivery.cancelled':
        this.#closeHold(atMs, detail['reason']);
        this.#closeForward(atMs, detail['error'] ?? detail['reason']);
        return;
      case 'flight.started':
        if (this.#isOwner) this.#started(atMs, Number(detail['run'] ?? 1));
        return;
      case 'flight.requeued':
        if (this.#isOwner) this.#requeued(atMs, Number(detail['run'] ?? 2));
        return;
      case 'flight.finished':
        this.#finished(fact);
        return;
      case 'flight.refined':
        if (this.#isOrigin) this.#close({ step: 'refine', atMs, attributes: endOf(fact) }, atMs, { error: errorOf(fact) });
        return;
      default:
    }
  }

  #started(atMs: number, run: number): void {
    this.#close({ step: `start ${run}`, atMs: this.#start?.atMs ?? atMs, attributes: { 'beckon.run': run } }, atMs);
    this.#start = undefined;
    this.#run = { step: `run ${run}`, atMs, attributes: { 'beckon.run': run, ...this.#agent() } };
    this.#runEvents = [];
  }

  #requeued(atMs: number, next: number): void {
    this.#closeRun(atMs, { error: 'interrupted' }, next - 1);
    this.#start = { step: `start ${next}`, atMs, attributes: {} };
  }

  #finished(fact: Fact): void {
    const { atMs } = fact;
    const error = errorOf(fact);
    const end = endOf(fact);
    this.#closeHold(atMs, error);
    this.#closeForward(atMs, error);
    if (this.#isOwner && this.#start !== undefined) this.#close(this.#start, atMs, { error });
    else if (this.#isOwner) this.#closeRun(atMs, { attributes: end, error });
    this.#start = undefined;
    this.#close({ step: 'finish', atMs, attributes: end }, atMs, { error });
    const { acceptedAtMs } = this.#story.invocation;
    const whole = { attributes: { ...end, ...this.#agent() }, events: this.#events, error };
    if (this.#isOrigin) this.#close({ step: 'invoke', atMs: acceptedAtMs, attributes: this.#message('invoke', 'send') }, atMs, { kind: 'producer', ...whole });
    else this.#close({ step: 'flight', atMs: this.#story.receivedAtMs ?? atMs, attributes: this.#message('process', 'process') }, atMs, { kind: 'consumer', ...whole });
  }

  #closeHold(atMs: number, error?: string): void {
    if (this.#hold !== undefined) this.#close(this.#hold, atMs, { error });
    this.#hold = undefined;
  }

  #closeForward(atMs: number, error?: string): void {
    if (this.#forward !== undefined) this.#close(this.#forward, atMs, { kind: 'producer', error });
    this.#forward = undefined;
  }

  /** @param run its number, for one that began before the facts at hand */
  #closeRun(atMs: number, closing: Closing, run?: number): void {
    const { startedAtMs } = this.#story;
    const before: Open | undefined = startedAtMs === undefined || run !== undefined ? undefined : { step: 'run 1', atMs: startedAtMs, attributes: { 'beckon.run': 1, ...this.#agent() } };
    const open = this.#run ?? before;
    if (open !== undefined) this.#close(open, atMs, { ...closing, events: this.#runEvents });
    this.#run = undefined;
  }

  #note({ what, atMs, detail }: Fact): void {
    const { reason, run } = detail;
    const event: SpanEvent = { name: what, atMs, attributes: { ...(reason === undefined ? {} : { 'beckon.reason': reason }), ...(run === undefined ? {} : { 'beckon.run': Number(run) }) } };
    if (this.#events.length < mostEvents) this.#events.push(event);
    if (this.#run !== undefined && what !== 'flight.started' && this.#runEvents.length < mostEvents) this.#runEvents.push(event);
  }

  #close({ step, atMs, attributes }: Open, endMs: number, { kind = 'internal', attributes: more = {}, events = [], error }: Closing = {}): void {
    if (!this.#isNew) return;
    const { invocation } = this.#story;
    const { traceId, flags, state } = this.#trace;
    const parent = this.#parentOf(step);
    this.#spans.push({
      traceId,
      spanId: this.#idOf(step),
      ...(parent === undefined ? {} : { parent }),
      flags,
      ...(state === undefined ? {} : { state }),
      name: step.split(' ', 1)[0] ?? step,
      kind,
      startMs: Math.min(atMs, endMs),
      endMs,
      attributes: { 'beckon.invocation.id': invocation.id, ...attributes, ...more, ...(error === undefined ? {} : { 'error.type': error }) },
      events: [...events],
      isError: error !== undefined,
    });
  }

  /** Of all that this node does of it the span of all is the parent, and of that what the context came with. */
  #parentOf(step: Step): Span['parent'] {
    const { parentId } = this.#trace;
    if (step === 'invoke' || step === 'flight') return parentId === undefined ? undefined : { spanId: parentId, isRemote: true };
    return { spanId: this.#idOf(this.#isOrigin ? 'invoke' : 'flight'), isRemote: false };
  }

  #idOf(step: Step): string {
    return spanIdOf(this.#digest, { traceId: this.#trace.traceId, invocationId: this.#story.invocation.id, nodeId: this.#nodeId }, step);
  }

  #message(name: string, type: 'send' | 'process'): SpanAttributes {
    const { id, target } = this.#story.invocation;
    return { 'messaging.system': 'beckon', 'messaging.operation.name': name, 'messaging.operation.type': type, 'messaging.destination.name': target, 'messaging.message.id': id };
  }

  #agent(): SpanAttributes {
    return { 'gen_ai.operation.name': 'invoke_agent', 'gen_ai.agent.name': parseAddress(this.#story.invocation.target).agent };
  }
}

function endOf({ detail }: Fact): SpanAttributes {
  const { state = '', exitCode } = detail;
  return { 'beckon.flight.state': state, ...(exitCode === undefined ? {} : { 'process.exit.code': Number(exitCode) }) };
}

/** A cancel is what somebody wanted. */
function errorOf({ detail: { state, error } }: Fact): string | undefined {
  return state === 'completed' || state === 'cancelled' ? undefined : (error ?? state);
}
