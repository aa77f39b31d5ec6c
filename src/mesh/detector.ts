/**
 * The failure detector: from what is heard on links, what dialling says and what other members answer, to the state of
 * each peer. SWIM's suspicion and indirect probes over links that stay (Das, Gupta, Motivala 2002), with Lifeguard's
 * local health. Nothing here keeps a timer: it is ticked.
 */
import type { AnswerTo, PeerQuery } from '../domain/messages.ts';
import type { NodeId } from '../domain/ids.ts';
import { restWords } from '../domain/peer.ts';
import type { PeerState } from '../domain/peer.ts';
import type { Clock, Log, Random } from '../domain/ports.ts';
import type { PeerIdentity } from '../domain/trust.ts';
import { toBrokerError } from '../domain/errors.ts';
import { peerFields } from '../domain/log-fields.ts';
import { Awareness } from './awareness.ts';
import type { TargetView } from './dialler.ts';
import { newDoubt, patienceMs, wordsOf } from './doubt.ts';
import type { Doubt } from './doubt.ts';
import { graceMs, heartbeatEveryMs } from './liveness.ts';
import type { Tick } from './liveness.ts';
import { leftTheMesh } from './peers.ts';
import type { PeerTable } from './peers.ts';
import type { SessionEnd } from './session-parts.ts';
import { nextRoundInMs, suspectAfterMs, witnessesAsked } from './suspicion.ts';
import type { Feature } from './version.ts';

/** A witness probes for 2 s itself. */
const witnessMs = 3_000;
/** All links silent for that long, of two or more: this node's own way out may be gone. */
const deafAfterMs = 1.5 * heartbeatEveryMs;

/** A lost link is dialled anew at once: its peer is a suspect only when that did not help. */
const redialMs = 1_000;
/** One that gave way to another, which both ends agreed on, has that for its successor. */
const successorMs = 3_000;

/** A link as the detector sees it. */
export interface WatchedLink {
  readonly peer: PeerIdentity;
  readonly epoch: number;
  /** Since anything was heard, or since this side has had grace. */
  readonly silentMs: number;
  /** Monotonic ms of the last frame. */
  readonly heardMs: number;
  can(feature: Feature): boolean;
  ask<Q extends PeerQuery>(query: Q, timeoutMs: number): Promise<AnswerTo<Q>>;
  introduce(nodeId: NodeId): void;
}

export interface DetectorParts {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly peers: PeerTable;
  readonly links: () => ReadonlyMap<NodeId, WatchedLink>;
  readonly tries: (nodeId: NodeId) => readonly TargetView[];
  /** Whether a session with that node is missed while there is none. */
  readonly needs: (nodeId: NodeId) => boolean;
  /** Another connection to a node whose link is silent. */
  readonly redial: (nodeId: NodeId) => void;
  /** Ends a link; `ended` follows. */
  readonly giveUp: (nodeId: NodeId, why: string) => void;
}

export class Detector {
  readonly #parts: DetectorParts;
  readonly #awareness = new Awareness();
  readonly #doubts = new Map<NodeId, Doubt>();
  #graceUntilMs = 0;

  constructor(parts: DetectorParts) {
    this.#parts = parts;
  }

  /** Whether a link with that node is there and not silent. */
  trusts(nodeId: NodeId): boolean {
    return this.#parts.links().has(nodeId) && !this.#doubts.has(nodeId);
  }

  tick({ isGrace, lateMs }: Tick): void {
    const now = this.#parts.clock.monotonic();
    const links = this.#parts.links();
    const isDeaf = links.size >= 2 && [...links.values()].every(({ silentMs }) => silentMs > deafAfterMs);
    this.#awareness.tick(isGrace ? 0 : lateMs, isDeaf);
    if (isGrace) this.#grace(now);
    for (const link of links.values()) this.#listen(link, now);
    for (const view of this.#parts.peers.views()) this.#lookAtTries(view.nodeId, view.state, now);
    for (const doubt of this.#doubts.values()) this.#weigh(doubt, now);
  }

  /** Brings the words up to date: for a reader who can't wait for the next tick. */
  refresh(): void {
    const now = this.#parts.clock.monotonic();
    for (const { nodeId, state } of this.#parts.peers.views()) this.#lookAtTries(nodeId, state, now);
    for (const doubt of this.#doubts.values()) this.#say(doubt, now);
  }

  forget(): void {
    this.#doubts.clear();
  }

  linked(peer: PeerIdentity): void {
    this.#doubts.delete(peer.nodeId);
    this.#parts.peers.move(peer.nodeId, 'alive', 'connected');
  }

  /** It is up by what others pass on of it, and no link with it is needed. */
  vouched(nodeId: NodeId): void {
    this.#doubts.delete(nodeId);
    this.#parts.peers.move(nodeId, 'discovered', restWords);
  }

  /** It does not answer, and something else speaks against it too: its silence need not last until it tells by itself. */
  suspect(nodeId: NodeId, cause: string): void {
    if (this.#doubts.has(nodeId)) return;
    const now = this.#parts.clock.monotonic();
    const doubt = newDoubt(nodeId, cause, now, { countsFromMs: Math.max(now, this.#graceUntilMs) });
    this.#doubts.set(nodeId, doubt);
    this.#parts.redial(nodeId);
    this.#say(doubt, now);
  }

  /** Its last link is gone. */
  ended({ nodeId }: PeerIdentity, { farewell, saidBy, why, wasUp }: SessionEnd): void {
    const { clock, peers } = this.#parts;
    const now = clock.monotonic();
    if (farewell === 'incompatible') {
      this.#doubts.delete(nodeId);
      return peers.move(nodeId, 'incompatible', why);
    }
    if (!wasUp) return;
    // Whoever said so says what its state is.
    if (farewell === 'removed') return void this.#doubts.delete(nodeId);
    if (farewell === 'resting') {
      this.#doubts.delete(nodeId);
      return peers.move(nodeId, 'discovered', restWords);
    }
    if (saidBy === 'peer' && farewell === 'left') {
      this.#doubts.delete(nodeId);
      return peers.move(nodeId, 'left', leftTheMesh);
    }
    if (saidBy === 'peer' && farewell === 'stopping') {
      this.#doubts.set(nodeId, newDoubt(nodeId, 'its node was stopped', now, { isCertain: true, isGone: true }));
      return peers.move(nodeId, 'unreachable', 'its node was stopped');
    }
    const countsFromMs = Math.max(now + (farewell === 'replaced' ? successorMs : redialMs), this.#graceUntilMs);
    const doubt = this.#doubts.get(nodeId) ?? newDoubt(nodeId, `the connection was lost: ${why}`, now, { countsFromMs });
    this.#doubts.set(nodeId, doubt);
    this.#say(doubt, now);
  }

  /** Asks others for help at once: somebody waits for that node. */
  help(nodeId: NodeId): void {
    const now = this.#parts.clock.monotonic();
    if (!this.#parts.peers.has(nodeId)) return;
    const doubt = this.#doubts.get(nodeId) ?? newDoubt(nodeId, 'not reached yet', now, { isGone: true });
    this.#doubts.set(nodeId, doubt);
    this.#ask(doubt, now);
  }

  /** This side could not hear: what is silent or lost gets its time from now. */
  #grace(now: number): void {
    this.#graceUntilMs = now + graceMs;
    for (const doubt of this.#doubts.values()) {
      if (doubt.isGone) continue;
      doubt.countsFromMs = this.#graceUntilMs;
      doubt.nextRoundMs = this.#graceUntilMs;
    }
  }

  #listen(link: WatchedLink, now: number): void {
    const { nodeId } = link.peer;
    const doubt = this.#doubts.get(nodeId);
    if (doubt !== undefined) {
      if (link.heardMs > doubt.beganMs) this.linked(link.peer);
      return;
    }
    if (link.silentMs < this.#awareness.scale(suspectAfterMs)) return;
    this.#doubts.set(nodeId, newDoubt(nodeId, silenceOf(link.silentMs), now, { countsFromMs: Math.max(now, this.#graceUntilMs) }));
    this.#parts.redial(nodeId);
  }

  /** A peer that was never reached, or only to learn that it is incompatible, and that dialling does not find. */
  #lookAtTries(nodeId: NodeId, state: PeerState, now: number): void {
    if ((state !== 'discovered' && state !== 'incompatible') || this.#doubts.has(nodeId) || this.#parts.links().has(nodeId)) return;
    const tries = this.#parts.tries(nodeId);
    if (tries.length === 0 || tries.some(({ failures, fault }) => failures === 0 || fault === 'incompatible')) return;
    const doubt = newDoubt(nodeId, 'not reached yet', now, { isGone: true });
    this.#doubts.set(nodeId, doubt);
    this.#say(doubt, now);
  }

  #weigh(doubt: Doubt, now: number): void {
    const { links, tries, giveUp } = this.#parts;
    const { nodeId } = doubt;
    if (now < doubt.countsFromMs) return;
    if (now >= doubt.nextRoundMs && (!doubt.isGone || this.#parts.needs(nodeId))) this.#ask(doubt, now);
    const isLinked = links().has(nodeId);
    if (!doubt.isGone && now - doubt.countsFromMs >= patienceMs(doubt, tries(nodeId), isLinked)) {
      doubt.isGone = true;
      const silentMs = links().get(nodeId)?.silentMs;
      if (silentMs !== undefined) {
        doubt.cause = silenceOf(silentMs);
        giveUp(nodeId, doubt.cause);
      }
    }
    this.#say(doubt, now);
  }

  #say(doubt: Doubt, now: number): void {
    if (now < doubt.countsFromMs) return;
    const { peers, tries, links } = this.#parts;
    const isLinked = links().has(doubt.nodeId);
    const made = isLinked ? [] : tries(doubt.nodeId);
    // Somebody waits for it, and it has not been tried yet.
    if (peers.state(doubt.nodeId) === 'discovered' && !made.some(({ failures }) => failures > 0)) return;
    const words = wordsOf(doubt, made);
    peers.move(doubt.nodeId, doubt.isGone && !isLinked ? 'unreachable' : 'suspect', words);
  }

  /** One round: some members are asked whether they hear it, and the first that does is asked to introduce this node. */
  #ask(doubt: Doubt, now: number): void {
    const { links, random, log } = this.#parts;
    doubt.rounds += 1;
    doubt.nextRoundMs = now + nextRoundInMs(doubt.rounds, random());
    const able = [...links().values()].filter(({ peer }) => peer.nodeId !== doubt.nodeId && !this.#doubts.has(peer.nodeId)).filter((each) => each.can('reach'));
    const witnesses = sample(able, witnessesAsked, random);
    doubt.asked = Math.max(doubt.asked, witnesses.length);
    let isIntroduced = false;
    for (const witness of witnesses) {
      witness.ask({ type: 'reach', nodeId: doubt.nodeId }, witnessMs).then(
        (answer) => {
          if (this.#doubts.get(doubt.nodeId) !== doubt) return;
          this.#testimony(doubt, witness, answer);
          if (!answer.reached || isIntroduced || !witness.can('introduce')) return;
          isIntroduced = true;
          witness.introduce(doubt.nodeId);
        },
        (error: unknown) => log.debug({ ...peerFields(witness.peer), code: toBrokerError(error).code }, `${witness.peer.name} could not say whether it hears another`),
      );
    }
  }

  #testimony(doubt: Doubt, { peer }: WatchedLink, { reached, epoch }: AnswerTo<{ type: 'reach'; nodeId: NodeId }>): void {
    const [from, to] = reached ? [doubt.confirmedBy, doubt.reachedBy] : [doubt.reachedBy, doubt.confirmedBy];
    from.delete(peer.nodeId);
    to.set(peer.nodeId, peer.name);
    const link = this.#parts.links().get(doubt.nodeId);
    // What is silent belongs to a boot that is over.
    if (reached && link !== undefined && epoch > link.epoch) this.#parts.giveUp(doubt.nodeId, 'it was started anew');
  }
}

function silenceOf(ms: number): string {
  return `nothing heard for ${Math.round(ms / 1000)} s`;
}

/** `count` of them, each as likely as any other. */
function sample<Item>(items: readonly Item[], count: number, random: Random): Item[] {
  const rest = [...items];
  const chosen: Item[] = [];
  while (chosen.length < count && rest.length > 0) chosen.push(...rest.splice(Math.floor(random() * rest.length), 1));
  return chosen;
}
