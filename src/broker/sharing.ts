/** Whom agents of this node are shared with, and what becomes of queued work when that is taken back. */
import { parseAddress, shellAddress } from '../domain/address.ts';
import type { Act } from '../domain/audit.ts';
import type { Candidate } from '../domain/candidate.ts';
import { BrokerError, conflict, notFound } from '../domain/errors.ts';
import type { FlightId } from '../domain/ids.ts';
import { belongs } from '../domain/membership.ts';
import type { Clock, Log } from '../domain/ports.ts';
import type { Flight } from '../domain/records.ts';
import { isSameShare, partyOf, wordsOfShare } from '../domain/sharing.ts';
import type { Share, ShareView } from '../domain/sharing.ts';
import type { QueuedCaller, Store } from '../domain/store-port.ts';
import type { ShareInput, ShareResult, UnshareResult } from './api.ts';
import type { Chronicler } from './chronicler.ts';
import type { Nodes } from './nodes.ts';
import type { Policy } from './policy.ts';
import type { Runner } from './runner.ts';
import type { Self } from './self.ts';
import { inSlices } from './slices.ts';

/** Ended at a time. */
const batch = 100;

type Settled = Pick<UnshareResult, 'ended' | 'running'>;

export interface SharingParts {
  readonly store: Store;
  readonly self: Self;
  readonly nodes: Nodes;
  readonly policy: Policy;
  readonly runner: Runner;
  readonly chronicler: Chronicler;
  readonly clock: Clock;
  readonly log: Log;
  /** @throws `not_found`, `ambiguous`, `invalid` */
  readonly find: (address: string) => Candidate;
  /** Whether flights of this store may be ended: not while a command has it for a moment. */
  readonly isLive: () => boolean;
}

export class Sharing {
  readonly #parts: SharingParts;

  constructor(parts: SharingParts) {
    this.#parts = parts;
  }

  /** What a crash kept from ending: queued work of callers whose right was taken back. Before anything is woken. */
  async start(): Promise<void> {
    await this.settleAll();
  }

  /** Rules are others than before: ends what is queued and may not be done any more. What runs goes on. */
  async settleAll(): Promise<Settled> {
    const all = { ended: 0, running: 0 };
    for (const address of this.#parts.store.read.queuedTargets()) {
      const { ended, running } = await this.#settle(address);
      all.ended += ended;
      all.running += running;
    }
    return all;
  }

  /** Of an agent here. */
  of(address: string): readonly ShareView[] {
    const { store, nodes } = this.#parts;
    return store.read.shares(address).map((share): ShareView => (share.with === 'node' ? { ...share, name: nodes.nameOf(share.nodeId) } : share));
  }

  async share({ address: text, parties, by }: ShareInput, act?: Act): Promise<ShareResult> {
    const { store, chronicler } = this.#parts;
    const address = this.#own(text, 'share');
    const registered = store.read.ownRegistrations().find((each) => each.address === address);
    if (registered?.visibility === 'node') throw conflict(`${address} is seen on this node only: nobody else could invoke it`, 'add it with --visibility mesh to share it');
    const known = this.#known();
    const shares: readonly Share[] = parties.length === 0 ? [{ with: 'all' }] : parties.map((each) => partyOf(each, known));
    const added = await store.write.shareAgent({ stamp: chronicler.stamp(), act, address, shares, by });
    return { address, shares: this.of(address), changed: added.length > 0 };
  }

  /** Resolves when what was queued and may not be done any more has ended. What runs goes on. */
  async unshare({ address: text, parties, by }: ShareInput, act?: Act): Promise<UnshareResult> {
    const { store, chronicler, isLive } = this.#parts;
    const address = this.#own(text, 'unshare');
    const shares = parties.map((each) => this.#shared(address, each));
    const gone = await store.write.unshareAgent({ stamp: chronicler.stamp(), act, address, by, ...(shares.length === 0 ? {} : { shares }) });
    const settled = isLive() && gone.length > 0 ? await this.#settle(address) : { ended: 0, running: 0 };
    return { address, shares: this.of(address), changed: gone.length > 0, ...settled };
  }

  #own(text: string, verb: 'share' | 'unshare'): string {
    const { find, self } = this.#parts;
    const { address, nodeId, nodeName } = find(text);
    if (nodeId === self.nodeId) return address;
    throw conflict(`${address} belongs to ${nodeName}, which alone decides who may invoke it`, `on ${nodeName}: beckon agent ${verb} ${shellAddress(parseAddress(address))}`);
  }

  /** Members, and the persons they belong to. */
  #known(): readonly ShareView[] {
    const { store, self } = this.#parts;
    const members = [{ nodeId: self.nodeId, name: self.name(), owner: self.owner() }, ...store.read.members().filter((each) => belongs(each) && each.nodeId !== self.nodeId)];
    return members.flatMap(({ nodeId, name, owner }): ShareView[] => [{ with: 'node', name, nodeId }, { with: 'person', name: owner }]);
  }

  /** One that is there, or used to be: a person may have no node any more. @throws `not_found`, naming what is shared */
  #shared(address: string, text: string): Share {
    const views = this.of(address);
    const party = partyOrNone(text, views);
    const share = views.find((each) => party !== undefined && isSameShare(each, party));
    if (share !== undefined) return share.with === 'node' ? { with: 'node', nodeId: share.nodeId } : share;
    const what = views.length === 0 ? 'it is shared with nobody' : `it is shared with ${views.map(wordsOfShare).join(', ')}`;
    throw notFound(`${address} is not shared with ${text}: ${what}`, views.length === 0 ? undefined : `to take everything back: beckon agent unshare ${shellAddress(parseAddress(address))}`);
  }

  async #settle(address: string): Promise<Settled> {
    const { store, policy, runner, clock } = this.#parts;
    const refused: QueuedCaller[] = [];
    // One verdict holds for all that a caller has queued there. What is held back may have run: its origin is asked first.
    await inSlices(clock, store.read.queuedCallers(address), (caller) => {
      const [oldest] = store.read.queued(address, 1, { caller });
      if (oldest !== undefined && this.#refusalOf(oldest) !== undefined) refused.push(caller);
    });
    let ended = 0;
    for (const caller of refused) ended += await this.#end(address, caller);
    return { ended, running: runner.runningFor(address).filter((flight) => policy.judgeQueued(flight) instanceof BrokerError).length };
  }

  /** @returns how many were ended */
  async #end(address: string, caller: QueuedCaller): Promise<number> {
    const { store, policy, runner, log } = this.#parts;
    let ended = 0;
    for (let page = store.read.queued(address, batch, { caller }); page.length > 0; page = store.read.queued(address, batch, { caller, after: page.at(-1) })) {
      const endings = page.map(async (flightId) => {
        const refusal = this.#refusalOf(flightId);
        if (refusal === undefined || !(await runner.refuse(flightId, refusal.error))) return false;
        policy.refused(refusal.flight);
        return true;
      });
      for (const settled of await Promise.allSettled(endings)) {
        if (settled.status === 'fulfilled') ended += settled.value ? 1 : 0;
        else log.error({ agent: address, err: settled.reason as unknown }, 'work that is not allowed any more could not be ended yet; it does not start');
      }
    }
    return ended;
  }

  #refusalOf(flightId: FlightId): { readonly flight: Flight; readonly error: BrokerError } | undefined {
    const flight = this.#parts.store.read.flight(flightId);
    const error = flight === undefined ? undefined : this.#parts.policy.judgeQueued(flight);
    return flight !== undefined && error instanceof BrokerError ? { flight, error } : undefined;
  }
}

function partyOrNone(text: string, views: readonly ShareView[]): Share | undefined {
  try {
    return partyOf(text, views);
  } catch (thrown) {
    if (thrown instanceof BrokerError && thrown.code === 'not_found') return undefined;
    throw thrown;
  }
}
