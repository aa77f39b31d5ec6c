/**
 * What all nodes write down as one stream, in the order of their hybrid clocks. Nodes are asked in turns for what is new,
 * and only while the reader reads: of each at most two pages are held. Question and answer carry the clocks, so that
 * from the first round on the clocks of all that are tailed go together. A node that is away is waited for no longer;
 * when it answers again it goes on where it was, and what the others have been told past is marked late.
 */
import { hlcBefore, Timeline } from '../domain/timeline.ts';
import type { Fact } from '../domain/event.ts';
import type { Hlc } from '../domain/hlc.ts';
import type { NodeId } from '../domain/ids.ts';
import type { Clock } from '../domain/ports.ts';
import type { Store } from '../domain/store-port.ts';
import type { AskMembers } from './ask-members.ts';
import type { Chronicler } from './chronicler.ts';
import type { Nodes } from './nodes.ts';
import type { TailInput, TailUpdate } from './operator-api.ts';
import type { Self } from './self.ts';
import { pageSize, TailSource } from './tail-source.ts';
import type { FactsAnswer, FactsQuery } from './tail-source.ts';
import { WakeablePause } from './wakeable-pause.ts';

/** A fact waits for the others so long at most. */
const windowMs = 3_000;
/** Of the newest time: what is being committed while a node answers bears an earlier clock. */
const settleMs = 250;
/** Who is a member is looked at again. */
const rosterMs = 5_000;
const askedAtOnce = 16;
/** More nodes are asked less often: so many questions a second at most. */
const askedASecond = 40;
const askMs = 5_000;

export interface TailingParts {
  readonly store: Store;
  readonly self: Self;
  readonly nodes: Nodes;
  readonly members: AskMembers;
  readonly chronicler: Chronicler;
  readonly clock: Clock;
  /** This node's own answer. */
  readonly ownFacts: (query: FactsQuery) => Promise<FactsAnswer>;
}

/** `hlc`: where it is put, which is its own clock but for a node whose clock is too far from the others. */
interface Placed {
  readonly hlc: Hlc;
  readonly nodeId: NodeId;
  readonly fact: Fact;
  readonly isOutOfStep: boolean;
}

/** @throws BrokerError `not_found` for an unknown node */
export async function* tail(parts: TailingParts, input: TailInput, signal: AbortSignal): AsyncGenerator<TailUpdate> {
  yield* new Tail(parts, input, signal).run();
}

class Tail {
  readonly #parts: TailingParts;
  readonly #input: TailInput;
  readonly #signal: AbortSignal;
  readonly #only: NodeId | undefined;
  readonly #sources = new Map<NodeId, TailSource>();
  readonly #timeline = new Timeline<Placed>(windowMs);
  readonly #news: TailUpdate[] = [];
  readonly #asking = new Set<Promise<void>>();
  readonly #outOfStep = new Set<NodeId>();
  readonly #waiting: WakeablePause;
  #rosterDueMs = 0;

  constructor(parts: TailingParts, input: TailInput, signal: AbortSignal) {
    this.#parts = parts;
    this.#input = input;
    this.#signal = signal;
    this.#waiting = new WakeablePause(parts.clock, signal);
    this.#only = input.node === undefined ? undefined : parts.nodes.find(input.node);
  }

  async *run(): AsyncGenerator<TailUpdate> {
    const { clock } = this.#parts;
    try {
      while (!this.#signal.aborted) {
        this.#look();
        this.#askDue();
        // News of who answers stand before what is told on the strength of it.
        yield* this.#news.splice(0);
        for (const { item, late } of this.#timeline.take(clock.monotonic())) yield this.#update(item, late);
        if (this.#input.noFollow && this.#isOver()) break;
        await this.#pause();
      }
      if (!this.#signal.aborted) {
        yield* this.#news.splice(0);
        for (const { item, late } of this.#timeline.takeAll()) yield this.#update(item, late);
      }
    } finally {
      await Promise.all(this.#asking);
    }
  }

  /** New members are asked from their beginning, or from when this began; those that are none any more are let go. */
  #look(): void {
    const { clock, self, members, nodes } = this.#parts;
    const now = clock.monotonic();
    if (now < this.#rosterDueMs) return;
    this.#rosterDueMs = now + rosterMs;
    const wanted = this.#only === undefined ? [self.nodeId, ...members.others().map((each) => each.nodeId)] : [this.#only];
    for (const nodeId of wanted) {
      if (this.#sources.has(nodeId)) continue;
      this.#sources.set(nodeId, new TailSource(nodeId, (query) => this.#ask(nodeId, query), this.#input.sinceMs));
      this.#timeline.expect(nodeId);
    }
    for (const [nodeId, source] of this.#sources) {
      if (wanted.includes(nodeId)) continue;
      this.#sources.delete(nodeId);
      this.#timeline.lose(nodeId);
      if (source.away === undefined) this.#news.push({ type: 'gap', atMs: clock.now(), nodeId, nodeName: nodes.nameOf(nodeId), why: 'it is no member any more' });
    }
  }

  async #ask(nodeId: NodeId, query: Omit<FactsQuery, 'hlc'>): Promise<FactsAnswer> {
    const { self, chronicler, members, ownFacts } = this.#parts;
    const asked = { ...query, hlc: chronicler.stamp().hlc };
    if (nodeId === self.nodeId) return await ownFacts(asked);
    const answer = await members.ask(nodeId, asked, askMs);
    const isAhead = chronicler.stampAfter(answer.hlc).hlc < answer.hlc;
    // Neither takes over the other's clock when they are more than 5 minutes apart.
    if (isAhead || answer.hlc < asked.hlc) this.#outOfStep.add(nodeId);
    else this.#outOfStep.delete(nodeId);
    // A node speaks of what it wrote itself.
    return { ...answer, facts: answer.facts.filter((fact) => fact.nodeId === nodeId) };
  }

  #askDue(): void {
    const now = this.#parts.clock.monotonic();
    const restFactor = Math.max(1, (this.#sources.size * 2) / askedASecond);
    for (const source of this.#sources.values()) {
      if (this.#asking.size >= askedAtOnce) return;
      if (source.isAsked || source.dueMs > now || this.#timeline.held(source.nodeId) > pageSize) continue;
      const asking: Promise<void> = this.#take(source, restFactor).finally(() => {
        this.#asking.delete(asking);
        this.#waiting.wake();
      });
      this.#asking.add(asking);
    }
  }

  async #take(source: TailSource, restFactor: number): Promise<void> {
    const { clock, nodes } = this.#parts;
    const { nodeId } = source;
    const { answer, isBack, error } = await source.next(() => clock.monotonic(), restFactor);
    const about = { atMs: clock.now(), nodeId, nodeName: nodes.nameOf(nodeId) };
    if (isBack) {
      this.#news.push({ type: 'back', ...about });
      this.#timeline.expect(nodeId);
    }
    if (error !== undefined) this.#news.push({ type: 'gap', ...about, why: error.message, ...(source.knownUntilMs === undefined ? {} : { knownUntilMs: source.knownUntilMs }) });
    if (answer === undefined) {
      this.#timeline.lose(nodeId);
      return;
    }
    if (this.#outOfStep.has(nodeId)) {
      const { hlc } = this.#parts.chronicler.stamp();
      this.#timeline.add(nodeId, answer.facts.map((fact) => ({ hlc, nodeId, fact, isOutOfStep: true })), undefined, clock.monotonic());
      this.#timeline.lose(nodeId);
      return;
    }
    const newest = answer.facts.reduce<Hlc | undefined>((most, { hlc }) => (most === undefined || hlc > most ? hlc : most), undefined);
    const items = answer.facts.map((fact) => ({ hlc: fact.hlc, nodeId, fact, isOutOfStep: false }));
    this.#timeline.add(nodeId, items, answer.more ? newest : hlcBefore(answer.hlc, settleMs), clock.monotonic());
  }

  /** Every node that answers has told all that it had. */
  #isOver(): boolean {
    return this.#news.length === 0 && this.#asking.size === 0 && [...this.#sources.values()].every((each) => each.away !== undefined || each.isCaughtUp);
  }

  #update({ fact, isOutOfStep }: Placed, late: boolean): TailUpdate {
    const { nodes, clock } = this.#parts;
    const peer = fact.peerNodeId === undefined ? {} : { peerName: nodes.nameOf(fact.peerNodeId) };
    return { type: 'fact', atMs: clock.now(), fact, nodeName: nodes.nameOf(fact.nodeId), ...peer, late: late || isOutOfStep };
  }

  /** Until something comes of what was asked, or somebody is to be asked. */
  #pause(): Promise<void> {
    const { clock } = this.#parts;
    const now = clock.monotonic();
    const due = [...this.#sources.values()].filter((each) => !each.isAsked && this.#timeline.held(each.nodeId) <= pageSize).map((each) => each.dueMs);
    const untilMs = Math.min(this.#rosterDueMs, now + settleMs, ...(this.#asking.size < askedAtOnce ? due : []));
    return this.#waiting.wait(Math.max(1, untilMs - now));
  }
}
