/**
 * Two nodes compare what they know, and each fetches what it lacks. Anti-entropy after Demers et al., "Epidemic algorithms
 * for replicated database maintenance" (PODC 1987), with one level of buckets under the root. News are faster; this is what
 * makes them unnecessary: whatever was lost, overtaken or refused is found by the next round.
 */
import { toBrokerError } from '../domain/errors.ts';
import type { NodeId } from '../domain/ids.ts';
import { peerFields } from '../domain/log-fields.ts';
import type { Link, Mesh } from '../domain/mesh-port.ts';
import type { CancelTimer, Clock, Log, Random, RecordSeal } from '../domain/ports.ts';
import type { RegistryEntry, SignedRecord } from '../domain/registration.ts';
import { differing } from '../domain/registry-digest.ts';
import { supersedes } from '../domain/registry-set.ts';
import type { PeerLimits } from './peer-limits.ts';
import type { RegistryIntake } from './registry-intake.ts';
import type { RegistrySpread } from './registry-spread.ts';
import type { RegistryState } from './registry-state.ts';
import type { Roster } from './roster.ts';

const askMs = 10_000;
/** However equal all seem, so often two links are asked. */
const anywayMs = 30_000;
const anywayLinks = 2;
/** What a heartbeat differs in may be news on their way, which take their time in a large mesh at work: so long they get. */
const newsMs = 1_500;
/** Between two rounds with one peer, doubled while each finds something. */
const leastApartMs = 1_000;
const mostApartMs = 4_000;
/** A peer whose root had nothing for this node is asked again when its root changes, or after this. */
const barrenMs = 60_000;
const roundsAtOnce = 4;
const setsAtOnce = 4;
/** More than that many nodes at once is not news but a node catching up: the others are not told of it. */
const mostSpread = 16;

export interface ReconciliationRoundsParts {
  readonly mesh: () => Mesh;
  readonly seal: RecordSeal;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly limits: PeerLimits;
  readonly state: RegistryState;
  readonly intake: RegistryIntake;
  readonly spread: RegistrySpread;
  readonly roster: () => Roster;
}

interface Peer {
  isUnderWay: boolean;
  /** It is wanted again as soon as the one under way is over. */
  isWanted: boolean;
  notBeforeMs: number;
  apartMs: number;
  barren: { readonly root: string; readonly untilMs: number } | undefined;
  cancelTimer: CancelTimer | undefined;
}

export class ReconciliationRounds {
  readonly #parts: ReconciliationRoundsParts;
  readonly #peers = new Map<NodeId, Peer>();
  /** Wanted, and waiting for one of the rounds at once to end; first come, first served. */
  readonly #queue: Link[] = [];
  readonly #underWay = new Set<Promise<void>>();
  #cancelAnyway: CancelTimer | undefined;
  #isStopped = true;

  constructor(parts: ReconciliationRoundsParts) {
    this.#parts = parts;
  }

  start(): void {
    if (!this.#isStopped) return;
    this.#isStopped = false;
    this.#anywayLater();
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#cancelAnyway?.();
    for (const peer of this.#peers.values()) peer.cancelTimer?.();
    this.#queue.length = 0;
    await Promise.all(this.#underWay);
  }

  linkUp(link: Link): void {
    const peer = this.#of(link);
    peer.barren = undefined;
    peer.apartMs = leastApartMs;
    this.#begin(link, peer);
  }

  linkDown(link: Link): void {
    const { mesh } = this.#parts;
    const { nodeId } = link.peer;
    if (mesh().link(nodeId) !== undefined) return;
    this.#peers.get(nodeId)?.cancelTimer?.();
    this.#peers.delete(nodeId);
  }

  /** What the peer last said of all that it knows. */
  onDigest(link: Link, root: string): void {
    const peer = this.#of(link);
    if (root === this.#parts.state.digest.root) {
      peer.apartMs = leastApartMs;
      return;
    }
    if (this.#isBarren(peer, root)) return;
    this.want(link);
  }

  /** A round with that peer, soon. */
  want(link: Link): void {
    const { clock } = this.#parts;
    const peer = this.#of(link);
    if (peer.cancelTimer !== undefined) return;
    const waitMs = Math.max(newsMs, peer.notBeforeMs - clock.monotonic());
    peer.cancelTimer = clock.setTimer(waitMs, () => {
      peer.cancelTimer = undefined;
      this.#begin(link, peer);
    });
  }

  #of({ peer: { nodeId } }: Link): Peer {
    const known = this.#peers.get(nodeId) ?? { isUnderWay: false, isWanted: false, notBeforeMs: 0, apartMs: leastApartMs, barren: undefined, cancelTimer: undefined };
    this.#peers.set(nodeId, known);
    return known;
  }

  #isBarren({ barren }: Peer, root: string): boolean {
    return barren !== undefined && barren.root === root && this.#parts.clock.monotonic() < barren.untilMs;
  }

  #begin(link: Link, peer: Peer): void {
    if (this.#isStopped || !link.isUp) return;
    if (peer.isUnderWay) {
      peer.isWanted = true;
      return;
    }
    if (this.#underWay.size >= roundsAtOnce) {
      if (!this.#queue.some((each) => each.peer.nodeId === link.peer.nodeId)) this.#queue.push(link);
      return;
    }
    peer.isUnderWay = true;
    const round = this.#run(link, peer).finally(() => {
      peer.isUnderWay = false;
      this.#underWay.delete(round);
      const next = this.#queue.shift();
      if (next !== undefined) this.#begin(next, this.#of(next));
      if (!peer.isWanted) return;
      peer.isWanted = false;
      this.want(link);
    });
    this.#underWay.add(round);
  }

  async #run(link: Link, peer: Peer): Promise<void> {
    const { clock, log } = this.#parts;
    try {
      const found = await this.#round(link, peer);
      peer.apartMs = found === 0 ? leastApartMs : Math.min(mostApartMs, peer.apartMs * 2);
    } catch (error) {
      const { code, message } = toBrokerError(error);
      peer.apartMs = mostApartMs;
      log.debug({ ...peerFields(link.peer), code, why: message }, 'a comparison of registries was cut short; it is made again');
    }
    peer.notBeforeMs = clock.monotonic() + Math.round(peer.apartMs * (0.75 + 0.5 * this.#parts.random()));
  }

  /** @returns how much was new */
  async #round(link: Link, peer: Peer): Promise<number> {
    const { state, clock, spread } = this.#parts;
    const asked = state.digest.root;
    const { root, buckets } = await link.ask({ type: 'registry_digest', root: asked }, askMs);
    if (buckets === undefined || root === state.digest.root || this.#isBarren(peer, root)) return 0;
    const numbers = differing(state.digest.buckets(), buckets);
    let found = 0;
    const heads: SignedRecord[] = [];
    for (let after: NodeId | undefined; ; ) {
      const page = await link.ask({ type: 'registry_entries', buckets: numbers, ...(after === undefined ? {} : { after }) }, askMs);
      found += await this.#take(link, page.entries, heads);
      if (page.next === undefined || (after !== undefined && page.next <= after)) break;
      after = page.next;
    }
    if (heads.length <= mostSpread) for (const head of heads) spread.tellHead({ head }, link.peer.nodeId);
    peer.barren = found === 0 ? { root, untilMs: clock.monotonic() + barrenMs } : undefined;
    return found;
  }

  /** @param heads those that were new and are stored */
  async #take(link: Link, entries: readonly RegistryEntry[], heads: SignedRecord[]): Promise<number> {
    const { state, seal, limits, roster } = this.#parts;
    const { nodeId: from } = link.peer;
    const learned = await roster().entries(entries, from);
    const wanted = entries.flatMap(({ head: signed }) => {
      if (signed === undefined) return [];
      try {
        const head = seal.readHead(signed);
        return supersedes({ head, hash: seal.hash(signed.payload) }, state.head(head.nodeId)) ? [{ nodeId: head.nodeId, signed }] : [];
      } catch (error) {
        limits.complain(from, toBrokerError(error).message);
        return [];
      }
    });
    let found = learned;
    const next = wanted.values();
    const fetching = Array.from({ length: setsAtOnce }, async () => {
      for (const { nodeId, signed } of next) {
        const isNew = await this.#catchUp(link, nodeId, signed);
        if (isNew) found += 1;
        const stored = state.head(nodeId)?.signed;
        if (isNew && stored !== undefined) heads.push(stored);
      }
    });
    await Promise.all(fetching);
    return found;
  }

  async #catchUp(link: Link, nodeId: NodeId, head: SignedRecord): Promise<boolean> {
    const { intake, limits } = this.#parts;
    try {
      // Its set may be the one that is here.
      const taken = await intake.take({ head, records: [], gone: [] });
      return taken === 'applied' || (taken === 'behind' && (await intake.fetch(nodeId, link)) === 'applied');
    } catch (error) {
      const known = toBrokerError(error);
      if (known.code !== 'unauthenticated' && known.code !== 'invalid') throw known;
      limits.complain(link.peer.nodeId, known.message);
      return false;
    }
  }

  #anywayLater(): void {
    const { clock, random, mesh } = this.#parts;
    this.#cancelAnyway = clock.setTimer(Math.round(anywayMs * (0.75 + 0.5 * random())), () => {
      const links = [...mesh().links()];
      for (let count = 0; count < anywayLinks && links.length > 0; count += 1) {
        const [link] = links.splice(Math.floor(random() * links.length), 1);
        if (link !== undefined) this.#begin(link, this.#of(link));
      }
      this.#anywayLater();
    });
  }
}
