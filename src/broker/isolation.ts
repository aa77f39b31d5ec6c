/**
 * Where flights of agents with `--isolate` run: a git worktree each, or one a session. Made before `started` is written, so
 * that a flight for which none can be made never started; kept from then on, until somebody fetched or discarded it.
 */
import { parseAddress, shellAddress } from '../domain/address.ts';
import { BrokerError } from '../domain/errors.ts';
import { flightOfInvocation, ulidOf } from '../domain/ids.ts';
import { isTerminal } from '../domain/flight.ts';
import type { Harness } from '../domain/harness-port.ts';
import type { Endpoint } from '../domain/invocation.ts';
import type { Log } from '../domain/ports.ts';
import type { Flight } from '../domain/records.ts';
import type { Store } from '../domain/store-port.ts';
import type { BranchFate, Checkouts, LocatedWorktree, Worktrees } from '../domain/worktree-port.ts';
import type { PlacedWorktree, Worktree, WorktreeState } from '../domain/worktree.ts';
import type { Chronicler } from './chronicler.ts';

export interface IsolationParts {
  readonly store: Store;
  readonly worktrees: Worktrees;
  readonly checkouts: Checkouts;
  readonly harnesses: ReadonlyMap<string, Harness>;
  readonly chronicler: Chronicler;
  readonly log: Log;
}

/** The endpoint as a flight uses it, and the worktree that is to be recorded with its start. */
export interface Placed {
  readonly endpoint: Endpoint;
  readonly worktree?: PlacedWorktree;
  /** Made for this start: it goes again when that does not come about. */
  readonly isNew?: boolean;
}

export class Isolation {
  readonly #parts: IsolationParts;
  /** By name: one of the same name waits for its predecessor to be gone. */
  readonly #removing = new Map<string, Promise<unknown>>();

  constructor(parts: IsolationParts) {
    this.#parts = parts;
  }

  /** Before the network and before any run: what a node that died had begun is finished, and nothing with work in it is touched. */
  async start(): Promise<void> {
    const { worktrees, store, log } = this.#parts;
    const swept = await worktrees.sweep((name) => {
      const worktree = store.read.worktreeNamed(name);
      const located = worktree === undefined ? undefined : locatedOf(worktree);
      if (worktree === undefined || located === undefined) return undefined;
      return { worktree: located, remove: worktree.state !== 'kept' && worktree.state !== 'gone' };
    });
    for (const { name, keptWhy } of swept) {
      if (keptWhy === undefined) log.info({ worktree: name }, 'a worktree that was begun or settled before the node stopped is removed');
      else log.warn({ worktree: name, why: keptWhy }, 'a worktree is left as it is');
    }
  }

  /** @throws BrokerError the reason for which the flight can't start: nothing is left of it then */
  async place(flight: Flight, endpoint: Endpoint, aborted: AbortSignal): Promise<Placed> {
    const { store, worktrees, checkouts } = this.#parts;
    const gone = endpoint.checkout === undefined ? undefined : await checkouts.gone(endpoint.checkout);
    if (gone !== undefined) throw directoryGone(endpoint.address, gone);
    if (!endpoint.isolate) return { endpoint };
    const known = (flight.run > 0 ? store.read.worktree(flight.id) : undefined) ?? (flight.sessionId === undefined ? undefined : store.read.worktreeOfSession(flight.sessionId));
    const placed = known === undefined ? undefined : placedOf(known);
    if (known?.state === 'kept' && placed !== undefined) {
      if (await worktrees.isThere(placed.place)) return { endpoint: { ...endpoint, cwd: worktrees.directoryOf(placed.place) }, worktree: placed };
      await this.settle({ id: flightOfInvocation(known.madeFor), ...optionalSession(flight) }, 'gone');
      // What git still has of it stands in the way of the next one.
      await this.#removed({ ...placed, ...placed.place }, 'goes when empty');
    }
    const name = (flight.sessionId === undefined ? ulidOf(flight.id) : flight.sessionId.slice(4)).toLowerCase();
    await this.#removing.get(name);
    const { head, branch, dirty, ...place } = await worktrees.make(endpoint, name, aborted);
    const worktree = { madeFor: flight.invocationId, head, branch, dirty, place };
    return { endpoint: { ...endpoint, cwd: worktrees.directoryOf(place) }, worktree, isNew: true };
  }

  /** `queued → running`, with where it runs in the same commit. Undefined, or thrown as `start` does: nothing is left of a worktree that is new. */
  async begin(flight: Flight, placed: Placed): Promise<Flight | undefined> {
    const { store, chronicler, worktrees } = this.#parts;
    const { worktree, isNew = false } = placed;
    let started: Flight | undefined;
    try {
      started = (await store.write.start({ stamp: chronicler.stamp(), flightId: flight.id, ...(worktree === undefined ? {} : { worktree }) }))?.flight;
    } finally {
      if (started === undefined) await this.dropped(placed);
      else if (worktree !== undefined && isNew) await worktrees.confirm(worktree.place);
    }
    return started;
  }

  /** The start did not come about. */
  async dropped({ worktree, isNew }: Placed): Promise<void> {
    if (worktree === undefined || isNew !== true) return;
    await this.#removed({ ...worktree, ...worktree.place }, 'goes').catch((error: unknown) =>
      this.#parts.log.warn({ worktree: worktree.place.name, err: error }, 'a worktree that was not used could not be removed; the next start tries again'),
    );
  }

  /** The flight has ended. A worktree in which nothing came about is of no use, unless its session goes on. */
  async over(id: Flight['id']): Promise<void> {
    const { store, worktrees, log } = this.#parts;
    try {
      const flight = store.read.flight(id);
      const worktree = store.read.worktree(id);
      const located = worktree === undefined ? undefined : locatedOf(worktree);
      if (flight === undefined || !isTerminal(flight.state) || flight.sessionId !== undefined || worktree?.state !== 'kept' || located === undefined) return;
      if (await worktrees.isUnchanged(located)) await this.settle(flight, 'unchanged');
    } catch (error) {
      log.warn({ flightId: id, err: error }, 'whether anything changed in a worktree could not be seen: it is kept');
    }
  }

  /**
   * Durable first; then the worktree goes. One that can't be removed is tried again at the next start.
   * @returns the last commit of the branch that was deleted
   * @throws BrokerError `not_found`, `conflict` as the store does
   */
  async settle(flight: Pick<Flight, 'id' | 'sessionId'>, state: Exclude<WorktreeState, 'kept'>, by?: string): Promise<{ readonly worktree: Worktree; readonly tip?: string }> {
    const { store, chronicler, log } = this.#parts;
    const before = store.read.worktree(flight.id)?.state;
    const worktree = await store.write.settleWorktree({ stamp: chronicler.stamp(), flightId: flight.id, state, ...(by === undefined ? {} : { by }) });
    const located = locatedOf(worktree);
    const isNews = before === 'kept' || before === 'gone';
    if (!isNews || located === undefined) return { worktree };
    // A process that was kept for the next turn would work in a directory that is not there.
    if (flight.sessionId !== undefined) for (const harness of this.#parts.harnesses.values()) await harness.endSession?.(flight.sessionId);
    if (state === 'gone') return { worktree };
    // A later turn of its session may have another one of the same name by now.
    if (store.read.worktreeNamed(located.name)?.madeFor !== worktree.madeFor) return { worktree };
    try {
      return { worktree, ...(await this.#removed(located, state === 'discarded' ? 'goes' : 'goes when seen')) };
    } catch (error) {
      log.warn({ worktree: located.name, err: error }, 'a worktree could not be removed; the next start tries again');
      return { worktree };
    }
  }

  #removed(worktree: LocatedWorktree, fate: BranchFate): Promise<{ readonly tip?: string }> {
    const removal = this.#parts.worktrees.remove(worktree, fate);
    const done = removal.then(
      () => this.#removing.delete(worktree.name),
      () => this.#removing.delete(worktree.name),
    );
    this.#removing.set(worktree.name, done);
    return removal;
  }
}

export function locatedOf({ head, branch, dirty, place }: Worktree): LocatedWorktree | undefined {
  return place === undefined ? undefined : { head, branch, dirty, ...place };
}

function placedOf({ place, state: _state, ...rest }: Worktree): PlacedWorktree | undefined {
  return place === undefined ? undefined : { ...rest, place };
}

function optionalSession({ sessionId }: Flight): Pick<Flight, 'sessionId'> {
  return sessionId === undefined ? {} : { sessionId };
}

/** An agent whose own directory will not come back. */
export function directoryGone(address: string, why: string): BrokerError {
  const hint = `remove the agent, or add it again where it is to work: beckon agent rm ${shellAddress(parseAddress(address))}`;
  return new BrokerError('unavailable', `${address} can’t run: ${why}`, { hint, detail: { reason: 'agent_offline' } });
}

