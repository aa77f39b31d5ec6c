/** Invocations of every kind, each lived from its acceptance on through the writes that a node makes. */
import type { FlightEvent, FlightEventBody, Outcome } from '../../../src/domain/flight-event.ts';
import { flightOfInvocation, groupIdOf, ulidOf } from '../../../src/domain/ids.ts';
import type { InvocationId, NodeId } from '../../../src/domain/ids.ts';
import type { Invocation } from '../../../src/domain/invocation.ts';
import type { AcceptInput, AcceptPlan } from '../../../src/domain/store-port.ts';
import type { Input, Wire, WriteName } from '../../../src/store/protocol.ts';
import { Refusal } from '../../../src/store/refusal.ts';
import type { WriteHandlers } from '../../../src/store/write-handlers.ts';
import { nodeIdFor, Story, textTask, utf8 } from '../../support/temp-store.ts';

/** Agents of the node itself that work waits for: they are to be there when it starts. */
export const localAgents = ['fabric', 'tests', 'docs'] as const;
/** A flight of this agent is one among all. */
export const singular = { agent: 'once', nodeId: nodeIdFor(1109), nodeName: 'lodge' } as const;
const agents = [...localAgents, 'review', 'build', 'deploy', 'search', 'lint', 'notes', 'mail', 'triage', 'plan'] as const;
const peers = ['desktop', 'server', 'studio', 'ci', 'phone'].map((name, index) => ({ name, nodeId: nodeIdFor(1101 + index) }));

const hourMs = 3_600_000;
const limits = { holdMs: 24 * hourMs, totalMs: 7 * 24 * hourMs };
const question = { reason: 'approval', prompt: 'push to main?', choices: ['yes', 'no'] } as const;

/** Evenly spread, the same each time. */
export function scatter(value: number, salt = 0): number {
  let hash = Math.imul(value ^ Math.imul(salt + 1, 0x9e37_79b1), 0x85eb_ca6b);
  hash = Math.imul(hash ^ (hash >>> 15), 0xc2b2_ae35);
  return (hash ^ (hash >>> 13)) >>> 0;
}

interface Begun {
  readonly invocation: Invocation;
  readonly flightId: ReturnType<typeof flightOfInvocation>;
}

export class Lives {
  readonly story: Story;
  readonly #handlers: WriteHandlers;
  readonly #me: NodeId;
  readonly #name: string;
  #count = 0;
  #previous: Invocation | undefined;

  constructor(handlers: WriteHandlers, { nodeId, nodeName, startMs }: { readonly nodeId: NodeId; readonly nodeName: string; readonly startMs: number }) {
    this.#handlers = handlers;
    this.#me = nodeId;
    this.#name = nodeName;
    this.story = new Story(startMs);
  }

  /** Over, in one of fifty ways: most of them completed. Returns the ids of what was accepted. */
  ended(): InvocationId[] {
    const which = this.#count % 50;
    if (this.#count % 41 === 40) return this.#group();
    if (which < 20) return [this.#local({ state: 'completed', exitCode: 0 })];
    if (which < 32) return [this.#sent({ state: 'completed', exitCode: 0 })];
    if (which < 38) return [this.#received({ state: 'completed', exitCode: 0 })];
    if (which < 41) return [this.#local({ state: 'failed', exitCode: 1 })];
    if (which < 43) return [this.#sent({ state: 'failed', error: { code: 'deadline', message: 'it ran longer than it may' } })];
    if (which === 43) return [this.#neverSent('cancelled')];
    if (which === 44) return [this.#local({ state: 'cancelled', signal: 'SIGTERM', ended: 2 })];
    if (which === 45) return [this.#neverSent('expired')];
    if (which === 46) return [this.#rejected()];
    if (which === 47) return [this.#sent({ state: 'completed', exitCode: 0 }, { isLostFirst: true })];
    if (which === 48) return [this.#local({ state: 'indeterminate', error: { code: 'unavailable', message: 'the node stopped while this ran' } })];
    return [this.#local({ state: 'completed', exitCode: 0 }, { asks: true })];
  }

  /** What follows has nothing to do with what was. */
  anew(): this {
    this.#previous = undefined;
    return this;
  }

  /** Not over: queued here, running or waiting elsewhere, held for one that is away, on its way. */
  open(): InvocationId {
    const which = this.#count % 10;
    if (which < 4) return this.#acceptHere(localAgents[this.#count % localAgents.length]).invocation.id;
    if (which < 7) return this.#hold().invocation.id;
    if (which === 7) return this.#send().invocation.id;
    const { invocation } = this.#send();
    const events: FlightEventBody[] = [{ kind: 'started', run: 1 }, { kind: 'output', stream: 'stdout', bytes: this.#text(0) }];
    if (which === 9) events.push({ kind: 'waiting', request: `req_${this.story.ulid()}`, ...question, untilMs: this.story.nowMs + 24 * hourMs });
    this.#apply(invocation, events);
    return invocation.id;
  }

  /** One of its kind. */
  single(): InvocationId {
    const target = `@${singular.agent}@${singular.nodeName}#main`;
    const { invocation, flightId } = this.#begin(singular.nodeId, target, { kind: 'defer', reason: 'peer_unreachable', detail: 'it is away' });
    this.#write('requestCancel', { stamp: this.story.stamp(), flightId, by: 'uid:501' });
    return invocation.id;
  }

  #local(outcome: Outcome, { asks = false } = {}): InvocationId {
    const begun = this.#acceptHere();
    this.#run(begun, outcome, asks);
    return begun.invocation.id;
  }

  #sent(outcome: Outcome, { isLostFirst = false } = {}): InvocationId {
    const begun = this.#send(isLostFirst);
    this.#apply(begun.invocation, [{ kind: 'started', run: 1 }, ...this.#outputs(), { kind: 'finished', ...outcome }]);
    return begun.invocation.id;
  }

  #received(outcome: Outcome): InvocationId {
    const { nodeId } = this.#peer();
    const invocation = this.#invocation(nodeId, this.#me, this.#targetHere());
    this.#write('receive', { stamp: this.story.stamp(), invocation, task: this.#task(), queueLimit: 10_000, originOwner: 'ada' });
    this.#run({ invocation, flightId: flightOfInvocation(invocation.id) }, outcome);
    this.#write('acknowledged', { flightId: flightOfInvocation(invocation.id), originNodeId: nodeId, seq: 1e6 });
    return invocation.id;
  }

  #neverSent(state: 'cancelled' | 'expired'): InvocationId {
    const { invocation, flightId } = this.#hold();
    if (state === 'cancelled') this.#write('requestCancel', { stamp: this.story.stamp(), flightId, by: 'uid:501' });
    else this.#write('endAtOrigin', { stamp: this.story.stamp(), flightId, outcome: { state, error: { code: 'deadline', message: 'its queue deadline passed' } }, delivery: { status: 'dead', reason: 'timeout' }, unlessSent: true });
    return invocation.id;
  }

  #rejected(): InvocationId {
    const { invocation } = this.#begin(...this.#targetThere(), { kind: 'send', attemptId: this.story.attemptId() });
    this.#write('reject', { stamp: this.story.stamp(), invocationId: invocation.id, fromNodeId: invocation.ownerNodeId, reason: 'denied', error: { code: 'denied', message: 'it is not shared with you' } });
    return invocation.id;
  }

  /** Three at once, for the same agent here and there; all completed. */
  #group(): InvocationId[] {
    this.#count += 1;
    const first = this.#invocation(this.#me, this.#me, this.#targetHere());
    const groupId = groupIdOf(ulidOf(first.id));
    const others = [this.#targetThere(), this.#targetThere()].map(([owner, target]) => this.#invocation(this.#me, owner, target));
    const members = [first, ...others].map((each) => ({
      invocation: { ...each, groupId },
      plan: each.ownerNodeId === this.#me ? { kind: 'local', queueLimit: 10_000 } as const : { kind: 'send', attemptId: this.story.attemptId() } as const,
    }));
    const { stamp, task, payloadHash } = this.story.accept(first, undefined, { task: this.#task() });
    this.#write('acceptAll', { stamp, task, payloadHash, members, key: `group-${this.#count}` });
    this.#run({ invocation: first, flightId: flightOfInvocation(first.id) }, { state: 'completed', exitCode: 0 });
    for (const each of others) this.#apply(each, [{ kind: 'started', run: 1 }, ...this.#outputs(), { kind: 'finished', state: 'completed', exitCode: 0 }]);
    return [first.id, ...others.map((each) => each.id)];
  }

  #run({ flightId }: Begun, outcome: Outcome, asks = false): void {
    this.#later(900);
    this.#write('start', { stamp: this.story.stamp(), flightId });
    if (asks) {
      const request = `req_${this.story.ulid()}`;
      this.#write('ask', { stamp: this.story.stamp(), flightId, request, ask: question, untilMs: this.story.nowMs + hourMs });
      this.#later(40_000);
      this.#write('giveReply', { stamp: this.story.stamp(), flightId, request, reply: { kind: 'approved' }, by: 'uid:501' });
    }
    const chunks = this.#outputs().map(({ stream, bytes }) => ({ stream, bytes, stamp: this.story.stamp() }));
    this.#write('appendOutput', { flightId, chunks });
    this.#later(20_000);
    this.#write('finish', { stamp: this.story.stamp(), flightId, outcome });
  }

  #apply({ id, ownerNodeId }: Invocation, bodies: readonly FlightEventBody[]): void {
    const receivedAtMs = this.story.nowMs + 20;
    this.#later(500);
    const events: FlightEvent[] = bodies.map((body, index) => ({ seq: index + 1, ...this.story.stamp(), body }));
    this.#write('applyEvents', { stamp: this.story.stamp(), invocationId: id, fromNodeId: ownerNodeId, receivedAtMs, events });
  }

  #acceptHere(agent?: string): Begun {
    const sessionOwner = this.#count % 17 === 0 ? { sessionOwner: 'ada' } : {};
    return this.#begin(this.#me, agent === undefined ? this.#targetHere() : `@${agent}@${this.#name}#main`, { kind: 'local', queueLimit: 10_000, ...sessionOwner });
  }

  #hold(): Begun {
    return this.#begin(...this.#targetThere(), { kind: 'defer', reason: 'peer_unreachable', detail: 'it is away' });
  }

  #send(isLostFirst = false): Begun {
    const begun = this.#begin(...this.#targetThere(), { kind: 'send', attemptId: this.story.attemptId() });
    if (!isLostFirst) return begun;
    const { id: invocationId, ownerNodeId } = begun.invocation;
    this.#write('loseAttempts', { stamp: this.story.stamp(), toNodeId: ownerNodeId, reason: 'peer_unreachable', detail: 'the link was lost' });
    this.#later(30_000);
    this.#write('beginAttempt', { stamp: this.story.stamp(), invocationId, attemptId: this.story.attemptId() });
    return begun;
  }

  #begin(owner: NodeId, target: string, plan: AcceptPlan): Begun {
    const invocation = this.#invocation(this.#me, owner, target);
    const key: Partial<AcceptInput> = scatter(this.#count, 7) % 5 < 3 ? { key: `key-${this.#count}` } : {};
    this.#write('accept', this.story.accept(invocation, plan, { task: this.#task(), payloadHash: scatter(this.#count, 8).toString(16).repeat(8), ...key }));
    return { invocation, flightId: flightOfInvocation(invocation.id) };
  }

  /** Every 23rd is a child of the one before it. */
  #invocation(origin: NodeId, owner: NodeId, target: string): Invocation {
    this.#count += 1;
    this.#later(100);
    const plain = this.story.invocation({ origin, owner }, { target, addressTyped: target.slice(1), limits });
    const parent = this.#count % 23 === 0 && origin === this.#me ? this.#previous : undefined;
    const child: Invocation = parent === undefined ? plain : { ...plain, caller: `agent:${parent.target}`, ancestry: { parentId: parent.id, rootId: parent.ancestry.rootId, depth: parent.ancestry.depth + 1, path: [...parent.ancestry.path, parent.target] } };
    this.#previous = child;
    return child;
  }

  /** The first of the agents has most of the work, a part of it on branches that come and go. */
  #targetHere(): string {
    const hash = scatter(this.#count, 1);
    const agent = agents[Math.min(hash % 16, hash % 11)] ?? 'fabric';
    const isBranch = agent === 'fabric' && hash % 3 === 0;
    const workspace = isBranch ? `topic/${hash % 997}` : ['main', 'main', 'main', 'release'][scatter(this.#count, 2) % 4];
    return `@${agent}@${this.#name}#${workspace}`;
  }

  #targetThere(): [NodeId, string] {
    const { nodeId, name } = this.#peer();
    const hash = scatter(this.#count, 3);
    return [nodeId, `@${agents[hash % agents.length]}@${name}#${['main', 'main', 'feature-x'][hash % 3]}`];
  }

  #peer(): (typeof peers)[number] {
    const hash = scatter(this.#count, 4);
    const peer = peers[Math.min(hash % 5, (hash >>> 8) % 5)];
    if (peer === undefined) throw new RangeError('there is no such peer');
    return peer;
  }

  #task() {
    return textTask(`look at what changed since ${this.#count} and say what is left to do`);
  }

  #outputs() {
    const count = 1 + (scatter(this.#count, 5) % 6);
    return Array.from({ length: count }, (_, index) => ({ kind: 'output', stream: index === 3 ? 'stderr' : 'stdout', bytes: this.#text(index) }) as const);
  }

  #text(index: number): Uint8Array {
    return utf8(`${this.#count}.${index} `.padEnd(24 + (scatter(this.#count, index) % 100), 'step done '));
  }

  #later(mostMs: number): void {
    this.story.nowMs += 1 + (scatter(this.#count, mostMs) % mostMs);
  }

  #write<Name extends WriteName>(name: Name, input: Input<Name>): Wire<Name> {
    const answer = this.#handlers[name](input as never) as Wire<Name> | Refusal;
    if (answer instanceof Refusal) throw answer.error;
    return answer;
  }
}
