/**
 * What isolated flights have left in their worktrees: shown at the origin and at the owner, and let go when somebody has
 * fetched or discarded it. The owner alone reads and removes; an origin asks it, and does nothing while it can't.
 */
import { onNode } from '../domain/address.ts';
import { conflict, denied, invalid, toBrokerError, unavailable } from '../domain/errors.ts';
import { isTerminal } from '../domain/flight.ts';
import { flightOfInvocation } from '../domain/ids.ts';
import type { AnswerTo, PeerQuery, Settle } from '../domain/messages.ts';
import type { Link, Mesh } from '../domain/mesh-port.ts';
import type { Clock, Log, UlidSource } from '../domain/ports.ts';
import type { Flight } from '../domain/records.ts';
import type { Store } from '../domain/store-port.ts';
import type { Worktrees } from '../domain/worktree-port.ts';
import type { DiffSummary, Isolation as Isolated, Worktree } from '../domain/worktree.ts';
import type { DiffPart, SettledWorktree } from './api.ts';
import type { Chronicler } from './chronicler.ts';
import { Diffs } from './diffs.ts';
import { locatedOf } from './isolation.ts';
import type { Isolation } from './isolation.ts';
import type { Nodes } from './nodes.ts';
import type { Policy } from './policy.ts';
import type { Self } from './self.ts';

/** Reading all that changed in a large worktree. */
const beginMs = 150_000;
const pieceMs = 30_000;
const settleMs = 600_000;
/** Nobody waits long for a detail of `flight show`. */
const lookMs = 2000;

type WorkQuery = Extract<PeerQuery, { type: 'diff' | 'worktree' }>;

export interface FlightWorkParts {
  readonly store: Store;
  readonly self: Self;
  readonly mesh: () => Mesh;
  readonly nodes: Nodes;
  readonly worktrees: Worktrees;
  readonly isolation: Isolation;
  readonly chronicler: Chronicler;
  readonly clock: Clock;
  readonly ulids: UlidSource;
  readonly log: Log;
  readonly find: (argument: string) => Flight;
  readonly policy: Pick<Policy, 'settled' | 'refusalOf' | 'refused'>;
}

export class FlightWork {
  readonly #parts: FlightWorkParts;
  readonly #diffs: Diffs;

  constructor(parts: FlightWorkParts) {
    this.#parts = parts;
    this.#diffs = new Diffs(parts);
  }

  stop(): Promise<void> {
    return this.#diffs.stop();
  }

  /** @throws `conflict` for a flight that is not isolated, or whose worktree is gone; `unavailable` when its owner can't be asked */
  async *diff(argument: string): AsyncIterable<DiffPart> {
    const flight = this.#parts.find(argument);
    this.#requireIsolated(flight);
    const { invocationId } = flight;
    const first = await this.#ask(flight, { type: 'diff', invocationId, offset: 0 }, beginMs);
    yield { type: 'begin', flightId: flight.id, ownerName: this.#parts.nodes.nameOf(flight.ownerNodeId), summary: first.summary };
    let { bytes } = first;
    for (let offset = 0; ; ) {
      if (bytes.length > 0) yield { type: 'content', bytes };
      offset += bytes.length;
      if (bytes.length === 0 || offset >= first.summary.patchBytes) return;
      ({ bytes } = await this.#ask(flight, { type: 'diff', invocationId, snapshot: first.snapshot, offset }, pieceMs));
    }
  }

  /** @throws as `diff`, and `conflict` when somebody works in it, it was settled otherwise, or holds what was not fetched */
  async settle(argument: string, settle: Settle): Promise<SettledWorktree> {
    const flight = this.#parts.find(argument);
    this.#requireIsolated(flight);
    const { isolation, tip } = await this.#ask(flight, { type: 'worktree', invocationId: flight.invocationId, settle }, settleMs);
    if (!this.#isOwned(flight)) await this.#learn(flight, isolation);
    return { flightId: flight.id, ownerName: this.#parts.nodes.nameOf(flight.ownerNodeId), isolation, ...(tip === undefined ? {} : { tip }) };
  }

  /** As its owner has it now, or, while that does not answer, as it was last known. Never rejects. */
  async look(flight: Flight): Promise<Isolated | undefined> {
    const known = this.#parts.store.read.worktree(flight.id);
    if (known === undefined) return undefined;
    try {
      if (this.#isOwned(flight)) return await this.#lookHere(flight, known);
      const link = known.state === 'kept' ? (this.#parts.mesh().link(flight.ownerNodeId) ?? (await this.#parts.mesh().want(flight.ownerNodeId))) : undefined;
      if (link === undefined) return shown(known);
      const { isolation } = await link.ask({ type: 'worktree', invocationId: flight.invocationId }, lookMs);
      return await this.#learn(flight, isolation);
    } catch (error) {
      this.#parts.log.debug({ flightId: flight.id, err: error }, 'the state of a worktree could not be had');
      return shown(known);
    }
  }

  /** A peer's question: only the origin of a flight asks about its work, and only as long as it may have it done. @throws BrokerError `denied` */
  async answer<Q extends WorkQuery>(link: Link, query: Q): Promise<AnswerTo<Q>> {
    const { policy, store } = this.#parts;
    await policy.settled(link.peer);
    const flight = store.read.flight(flightOfInvocation(query.invocationId));
    if (flight === undefined || flight.originNodeId !== link.peer.nodeId || !this.#isOwned(flight)) {
      throw denied(`${query.invocationId} is not a flight that ${link.peer.name} has here`);
    }
    this.#judge(link, flight);
    if (query.type === 'diff') return this.#answerHere(flight, query);
    const { settle } = query;
    const answer = await this.#worktreeHere(flight, settle === undefined ? undefined : { ...settle, by: `${settle.by} on ${link.peer.name}` });
    const { path: _here, ...isolation } = answer.isolation;
    return { ...answer, isolation } as AnswerTo<Q>;
  }

  /** What is in a worktree is there now: other than what it was told of the flight, its caller has not had it. @throws BrokerError `denied` */
  #judge({ peer }: Link, flight: Flight): void {
    const { policy, self } = this.#parts;
    // A flight that is over has the name that this node had then; rules and shares have the one of now.
    const target = onNode(flight.target, self.name());
    const refusal = policy.refusalOf(peer, target);
    if (refusal === undefined) return;
    policy.refused({ ...flight, target });
    throw refusal;
  }

  async #ask<Q extends WorkQuery>(flight: Flight, query: Q, timeoutMs: number): Promise<AnswerTo<Q>> {
    if (this.#isOwned(flight)) return this.#answerHere(flight, query);
    const { mesh, nodes } = this.#parts;
    const name = nodes.nameOf(flight.ownerNodeId);
    const link = mesh().link(flight.ownerNodeId) ?? (await mesh().want(flight.ownerNodeId));
    if (link === undefined) throw unavailable(`${name}, which has the worktree, is not reachable`, 'see why: beckon peers; nothing is lost meanwhile');
    try {
      return await link.ask(query, timeoutMs);
    } catch (error) {
      const known = toBrokerError(error);
      throw known.code === 'deadline' ? unavailable(known.message, 'try again; nothing is lost meanwhile') : known;
    }
  }

  async #answerHere<Q extends WorkQuery>(flight: Flight, query: Q): Promise<AnswerTo<Q>> {
    const answer = query.type === 'diff' ? await this.#diffHere(flight, query.snapshot, query.offset) : await this.#worktreeHere(flight, query.settle);
    return answer as AnswerTo<Q>;
  }

  async #diffHere(flight: Flight, snapshot: string | undefined, offset: number): Promise<AnswerTo<Extract<WorkQuery, { type: 'diff' }>>> {
    if (snapshot !== undefined) return { type: 'diff', ...(await this.#diffs.goOn(flight.id, snapshot, offset)) };
    const worktree = this.#requireIsolated(flight) ?? notStarted(flight);
    if (worktree.state === 'unchanged') return { type: 'diff', snapshot: 'none', summary: nothing(worktree), bytes: new Uint8Array() };
    return { type: 'diff', ...(await this.#diffs.begin(flight.id, await this.#requireKept(flight, worktree))) };
  }

  async #worktreeHere(flight: Flight, settle: Settle | undefined): Promise<AnswerTo<Extract<WorkQuery, { type: 'worktree' }>>> {
    const worktree = this.#requireIsolated(flight) ?? notStarted(flight);
    if (settle === undefined) return { type: 'worktree', isolation: await this.#lookHere(flight, worktree) };
    if (!isTerminal(flight.state)) throw conflict(`${flight.id} has not ended yet: it is ${flight.state}`, 'wait for it, or cancel it');
    const { state } = await this.#lookHere(flight, worktree);
    // There was nothing to fetch, and there is nothing to discard.
    if (state === 'unchanged' || state === settle.verb) return { type: 'worktree', isolation: this.#shownHere(worktree) };
    if (settle.verb === 'fetched') await this.#requireSame(await this.#requireKept(flight, worktree), settle.tree);
    const { worktree: now, tip } = await this.#parts.isolation.settle(flight, settle.verb, settle.by);
    return { type: 'worktree', isolation: this.#shownHere(now), ...(tip === undefined || tip === now.head ? {} : { tip }) };
  }

  async #requireKept(flight: Flight, worktree: Worktree): Promise<NonNullable<ReturnType<typeof locatedOf>>> {
    const { state } = await this.#lookHere(flight, worktree);
    const located = locatedOf(worktree);
    if (located !== undefined && state === 'kept') return located;
    if (state === 'gone') throw conflict('its worktree is gone, and Beckon did not remove it', 'what was committed in it may be on its branch: see beckon flight show');
    throw conflict(`its worktree was ${state} already`, 'only what is kept can be had');
  }

  /** Nothing that was not in the diff goes with the worktree. */
  async #requireSame(located: NonNullable<ReturnType<typeof locatedOf>>, tree: string | undefined): Promise<void> {
    if (tree === undefined) throw invalid('what was fetched must be named by the tree of its diff');
    const snapshot = await this.#parts.worktrees.snapshot(located);
    await snapshot.close();
    const { summary } = snapshot;
    if (summary.tree !== tree) throw conflict('its worktree has changed since the diff was made', 'fetch it again, or discard it');
    if (summary.nested.length > 0) {
      throw conflict(`its worktree has repositories of its own whose content is in no diff: ${summary.nested.join(', ')}`, 'take what you need from them there, then discard it');
    }
    if (summary.truncated) throw conflict('its diff was cut: not all of it was fetched', 'take the rest there, then discard it');
  }

  /** A worktree that somebody else removed is found missing here. */
  async #lookHere(flight: Flight, worktree: Worktree): Promise<Isolated> {
    const { worktrees, isolation, log } = this.#parts;
    if (worktree.state !== 'kept' || worktree.place === undefined || (await worktrees.isThere(worktree.place))) return this.#shownHere(worktree);
    log.warn({ flightId: flight.id, worktree: worktrees.pathOf(worktree.place) }, 'a worktree that was kept is gone');
    return this.#shownHere((await isolation.settle(flight, 'gone')).worktree);
  }

  #shownHere(worktree: Worktree): Isolated {
    const { place, state } = worktree;
    return { ...shown(worktree), ...(place === undefined || state !== 'kept' ? {} : { path: this.#parts.worktrees.pathOf(place) }) };
  }

  async #learn(flight: Flight, isolation: Isolated): Promise<Isolated> {
    const { store, chronicler } = this.#parts;
    const known = store.read.worktree(flight.id);
    if (known !== undefined && known.state !== isolation.state) await store.write.settleWorktree({ stamp: chronicler.stamp(), flightId: flight.id, state: isolation.state, by: 'owner' });
    const { path: _elsewhere, ...rest } = isolation;
    return rest;
  }

  /** What is known here is enough to tell that there is nothing to ask for. @returns undefined when its owner must say */
  #requireIsolated(flight: Flight): Worktree | undefined {
    const worktree = this.#parts.store.read.worktree(flight.id);
    if (worktree === undefined && flight.startedAtMs !== undefined) {
      throw conflict(`${flight.id} did not run in a worktree of its own`, 'what it changed is in the directory of its agent; one that is added with --isolate gets a worktree a flight');
    }
    if (worktree === undefined && isTerminal(flight.state)) throw conflict(`${flight.id} never started: it is ${flight.state}`);
    return worktree;
  }

  #isOwned({ ownerNodeId }: Flight): boolean {
    return ownerNodeId === this.#parts.self.nodeId;
  }
}

function notStarted(flight: Flight): never {
  throw conflict(`${flight.id} has not started yet: it is ${flight.state}`, 'wait for it: beckon flight wait ID');
}

function shown({ head, branch, dirty, state }: Worktree): Isolated {
  return { head, branch, dirty, state };
}

function nothing({ head, dirty }: Worktree): DiffSummary {
  return { head, dirty, tree: head, patchBytes: 0, truncated: false, files: [], fileCount: 0, nested: [] };
}

