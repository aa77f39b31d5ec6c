/**
 * Runs what is queued for this node's agents. `started` is durable before anything is spawned, and a flight ends by
 * exactly one verdict: the agent's own end, a limit, a cancel, or a stop of the node.
 */
import { BrokerError, toBrokerError } from '../domain/errors.ts';
import type { Outcome } from '../domain/flight-event.ts';
import { isTerminal } from '../domain/flight.ts';
import type { Harness } from '../domain/harness-port.ts';
import { flightOfInvocation } from '../domain/ids.ts';
import type { FlightId, NodeId, SessionId } from '../domain/ids.ts';
import { taskBytes } from '../domain/invocation.ts';
import type { Endpoint, Work } from '../domain/invocation.ts';
import { pause } from '../domain/pause.ts';
import type { Flight } from '../domain/records.ts';
import type { Answer } from '../domain/request.ts';
import type { Readdressed } from '../domain/store-port.ts';
import { ActiveRuns, runsPerAgent } from './active-runs.ts';
import type { ActiveRun, Claim } from './active-runs.ts';
import { Endings } from './endings.ts';
import { Execution, stopGraceMs } from './execution.ts';
import type { ExecutionParts, Prepared } from './execution.ts';
import type { Feed } from './feed.ts';
import type { Isolation, Placed } from './isolation.ts';
import { Pace } from './pace.ts';
import { Turns } from './turns.ts';
import { agentGone, expiredError, lostSight, verdictBeforeStart, verdictOn } from './verdicts.ts';
import type { StopCause } from './verdicts.ts';

const openPage = 500;
/** Of a queue, at a time, beyond what may be at its head and is being started. */
const mostRead = 32;

export interface RunnerParts extends Omit<ExecutionParts, 'endings' | 'told' | 'stop'> {
  readonly harnesses: ReadonlyMap<string, Harness>;
  readonly feed: Feed;
  /** Events of a flight became durable: its origin, if it is another node, is to be told. */
  readonly onEvents: (flight: Flight) => void;
  /** False for one whose turn has not come: `wakeAll` follows when it has. */
  readonly mayStart: (flight: Flight) => boolean;
  /** Why its caller may not have this done, as it is now. */
  readonly refusalOf: (flight: Flight) => BrokerError | undefined;
  /** That can't be said yet: its caller is put off, others go first, and `wakeAll` has it judged again. */
  readonly isUnknown?: (flight: Flight) => boolean;
  readonly isolation: Isolation;
  /** How much runs and waits of that agent may be another than before. */
  readonly onLoad?: (address: string) => void;
}

export class Runner {
  readonly #parts: RunnerParts;
  readonly #active = new ActiveRuns();
  readonly #endings: Endings;
  readonly #pace: Pace;
  readonly #execution: Execution;
  /** Agents that found the node full, the one that did so longest ago first, and whether each is served. */
  readonly #starved = new Map<string, boolean>();
  /** Agents that nothing waits for, unless they were woken since: a place that comes free need not be offered. */
  readonly #idle = new Set<string>();
  readonly #turns: Turns;
  #accepting = true;
  /** Aborted when the node stops at once: nothing is waited for any more. */
  #forced = new AbortController().signal;

  constructor(parts: RunnerParts) {
    this.#parts = parts;
    this.#pace = new Pace(parts.clock);
    this.#turns = new Turns({ store: parts.store, isUnknown: (flight) => parts.isUnknown?.(flight) === true, onMore: (address) => void pause(parts.clock, 0).then(() => this.wake(address)) });
    const { store, chronicler, clock, log } = parts;
    this.#endings = new Endings({ store, chronicler, clock, log, forced: () => this.#forced, told: (flight) => this.#told(flight) });
    this.#execution = new Execution({ ...parts, endings: this.#endings, told: (flight) => this.#told(flight), stop: (active, cause) => this.#stop(active, cause) });
  }

  get running(): number {
    return this.#active.size;
  }

  /** How many runs of each agent there are now. */
  runningByAgent(): ReadonlyMap<string, number> {
    return this.#active.counts();
  }

  /** When it is worth asking an agent again whose queue is full, ms. */
  retryAfterMs(address: string): number {
    return this.#pace.retryAfterMs(address);
  }

  /** Work may have been queued for the agent, or a place has come free. A store that can't be read now is asked again by the next `wakeAll`. */
  wake(address: string): void {
    this.#idle.delete(address);
    this.#parts.onLoad?.(address);
    try {
      this.#fill(address);
    } catch (error) {
      this.#parts.log.error({ agent: address, err: error }, 'the queue of an agent could not be read; it is looked at again');
    }
  }

  /** Something runs for the agent. */
  isBusy(address: string): boolean {
    return this.#active.of(address).length > 0;
  }

  /** A run that outlived its node has its place and its limits, and goes on if its process comes back. */
  adopt(flightId: FlightId): void {
    const flight = this.#parts.store.read.flight(flightId);
    if (flight === undefined || isTerminal(flight.state) || this.#active.has(flightId)) return;
    this.#begin(flight, { isAdopted: true, isServed: true, taskBytes: this.#parts.store.read.taskBytes(flight.invocationId) }, (active) => this.#goOn(active));
    const active = this.#active.get(flightId);
    if (active !== undefined && flight.cancelRequestedAtMs !== undefined) this.#stop(active, 'cancel');
  }

  /**
   * A place for what is about to be taken in, so that the commit that stores it can start it, too. Undefined when its turn has
   * not come, or something must be looked at outside before it may start.
   */
  claim(flight: Flight, work: Work): Claim | undefined {
    const { target } = flight;
    if (!this.#accepting || this.#active.has(flight.id) || flight.holdUntilMs <= this.#parts.clock.now() || !this.#parts.mayStart(flight)) return undefined;
    const ready = this.#prepare(flight);
    if (ready instanceof BrokerError || ready.endpoint.isolate || ready.endpoint.checkout !== undefined) return undefined;
    const served = ready.harness.concurrency?.(target);
    const how = { isAdopted: false, isServed: served !== undefined, taskBytes: taskBytes(work.task) };
    if (this.#active.of(target).length >= mostOf(ready.endpoint, served) || !this.#active.takes(how)) return undefined;
    const { promise, resolve } = Promise.withResolvers<Flight | undefined>();
    this.#begin(flight, how, async (active) => this.#flyClaimed(active, work, await promise));
    return { started: resolve, dropped: () => resolve(undefined) };
  }

  #fill(address: string): void {
    const { store, harnesses } = this.#parts;
    const endpoint = store.read.endpoint(address);
    const served = harnesses.get(endpoint?.harness ?? '')?.concurrency?.(address);
    const flying = this.#active.of(address);
    const busy: SessionId[] = flying.flatMap(({ sessionId }) => sessionId ?? []);
    let places = mostOf(endpoint, served) - flying.length;
    if (!this.#accepting || places <= 0) return;
    for (const flight of this.#turns.of(address, { pageSize: flying.length + Math.min(places, mostRead), busy, isFlying: (id) => this.#active.has(id) })) {
      if (!this.#parts.mayStart(flight)) return;
      const how = { isAdopted: false, isServed: served !== undefined, taskBytes: store.read.taskBytes(flight.invocationId) };
      if (!this.#active.takes(how)) {
        this.#starved.set(address, how.isServed);
        return;
      }
      this.#begin(flight, how, (active) => this.#fly(active));
      if (flight.sessionId !== undefined) busy.push(flight.sessionId);
      places -= 1;
      if (places === 0) return;
    }
    if (store.read.queuedCount(address, 1) === 0) this.#idle.add(address);
  }

  /** What runs goes on, and counts for its agent as before; what waits is looked at. */
  renamed(agents: readonly Readdressed[]): void {
    this.#active.renamed(agents);
    for (const { from, to } of agents) for (const address of [from, to]) this.#parts.onLoad?.(address);
    this.wakeAll();
  }

  /** At start, and now and then. What is queued for an agent that is gone ends, too: a node may have died before it came to that. */
  wakeAll(): void {
    this.#turns.judgeAnew();
    for (const address of this.#parts.store.read.queuedTargets()) this.wake(address);
  }

  /** Ends a flight owned here, whatever it is at. Resolves when its verdict is durable. A finished one is left alone. */
  async end(flightId: FlightId, cause: 'cancel' | 'total deadline' | 'rolled back' | 'caller removed'): Promise<void> {
    const active = this.#active.get(flightId);
    if (active !== undefined) {
      this.#stop(active, cause);
      await active.done;
      return;
    }
    const flight = this.#parts.store.read.flight(flightId);
    if (flight === undefined || isTerminal(flight.state)) return;
    if (cause === 'rolled back') return this.#endings.finish(flight, verdictOn(cause, 0));
    // It was started, and nobody here saw its end.
    if (flight.state !== 'queued' && flight.state !== 'waking') return this.#endings.finish(flight, { state: 'indeterminate', error: lostSight });
    await this.#endings.finish(flight, verdictBeforeStart(cause, undefined) ?? { state: 'cancelled', ended: 0 });
  }

  /** Work that a removed node asked for: what waits fails, what runs is ended. Resolves when the verdicts are durable. */
  async callerRemoved(originNodeId: NodeId): Promise<void> {
    const { read } = this.#parts.store;
    for (let page = read.openFor(originNodeId, undefined, openPage); page.length > 0; page = read.openFor(originNodeId, page.at(-1), openPage)) {
      await Promise.all(page.map((id) => this.end(flightOfInvocation(id), 'caller removed')));
    }
  }

  /** The store has taken an answer to a request of a flight that runs here. */
  answered(flightId: FlightId, request: string, answer: Answer): void {
    const active = this.#active.get(flightId);
    active?.requests?.answered(request, answer);
  }

  /** A process that was kept after its flight is gone. Should that not be stored, the next start finds no such process. */
  processEnded(flightId: FlightId): void {
    this.#parts.store.write.forgetProcesses({ flightId }).catch((error: unknown) => {
      this.#parts.log.warn({ flightId, err: error }, 'the end of a process that was kept could not be stored');
    });
  }

  /** A verdict on a flight that is not running here: its agent is gone, its queue deadline has passed. */
  async settleQueued(flightId: FlightId, outcome: Outcome): Promise<void> {
    const flight = this.#parts.store.read.flight(flightId);
    if (flight === undefined || flight.state !== 'queued' || this.#active.has(flightId)) return;
    await this.#endings.finish(flight, outcome);
  }

  /** Its caller may not have it done any more: ends it unless it runs already. @returns whether it is over */
  async refuse(flightId: FlightId, refusal: BrokerError): Promise<boolean> {
    const active = this.#active.get(flightId);
    if (active === undefined) await this.settleQueued(flightId, { state: 'failed', error: refusal.toInfo() });
    else if (active.run !== undefined || active.isAdopted) return false;
    else {
      this.#stop(active, 'not allowed');
      await active.done;
    }
    return true;
  }

  /** At work for that agent now. */
  runningFor(address: string): readonly Flight[] {
    return this.#active.of(address);
  }

  /** Starts nothing more. Resolves when nothing runs; `force` ends what runs as `indeterminate`. */
  async drain(force: AbortSignal): Promise<void> {
    this.#accepting = false;
    this.#forced = force;
    const end = (): void => {
      for (const active of this.#active.values()) this.#stop(active, 'node stopped');
    };
    if (force.aborted) end();
    else force.addEventListener('abort', end, { once: true });
    while (this.#active.size > 0) await Promise.all([...this.#active.values()].map((each) => each.done));
    force.removeEventListener('abort', end);
  }

  /** After `drain`: starts what is queued again. */
  resume(): void {
    this.#accepting = true;
    this.#forced = new AbortController().signal;
    this.wakeAll();
  }

  #begin(flight: Flight, how: Pick<ActiveRun, 'isAdopted' | 'isServed' | 'taskBytes'>, fly: (active: ActiveRun) => Promise<void>): void {
    const { target } = flight;
    const active: ActiveRun = { flight, target, ...how, wasClaimed: false, run: undefined, requests: undefined, cause: undefined, ended: undefined, unwanted: new AbortController(), done: Promise.resolve() };
    this.#active.set(flight.id, active);
    const done = fly(active)
      .catch((error: unknown) => {
        this.#parts.log.error({ flightId: flight.id, err: error }, 'a run could not be started; it stays queued');
        return this.#endings.pause();
      })
      .finally(() => {
        this.#active.delete(flight.id);
        this.#pace.ended(active.target);
        // Before the agent that had the place, which would keep it for as long as anything waits for it.
        for (const [address, isServed] of [...this.#starved]) {
          // Not looked at for nothing: a hundred may wait for the one place that came free.
          if (!isServed && !this.#active.hasPlace()) continue;
          this.#starved.delete(address);
          this.wake(address);
        }
        if (active.wasClaimed && this.#idle.has(active.target)) this.#parts.onLoad?.(active.target);
        else this.wake(active.target);
      });
    Object.assign(active, { done });
  }

  async #fly(active: ActiveRun): Promise<void> {
    const { flight } = active;
    if (flight.cancelRequestedAtMs !== undefined) return this.#endings.finish(flight, { state: 'cancelled', ended: 0 });
    // Nobody looks at deadlines while the node is down, and an invocation may take long to get here.
    if (flight.run === 0 && flight.holdUntilMs <= this.#parts.clock.now()) return this.#endings.finish(flight, { state: 'expired', error: expiredError() });
    const ready = this.#prepare(flight);
    const prepared = ready instanceof BrokerError ? ready : (this.#parts.refusalOf(flight) ?? ready);
    if (prepared instanceof BrokerError) return this.#endings.finish(flight, { state: 'failed', error: prepared.toInfo() });
    const placed = await this.#place(active, prepared.endpoint);
    const started = placed === undefined ? undefined : await this.#parts.isolation.begin(flight, placed);
    if (placed === undefined || started === undefined) return;
    this.#told(started);
    if (active.cause === undefined) await this.#execution.run(active, started, { ...prepared, endpoint: placed.endpoint });
    else await this.#endings.finishSurely(started, verdictOn(active.cause, 0));
    if (placed.worktree !== undefined && !this.#forced.aborted) await this.#parts.isolation.over(flight.id);
  }

  /** Stored as started in the commit that took it in. What was asked before that commit is asked again. */
  async #flyClaimed(active: ActiveRun, work: Work, started: Flight | undefined): Promise<void> {
    if (started === undefined) return;
    active.flight = started;
    active.wasClaimed = true;
    this.#told(started);
    const prepared = this.#preparedOrWhyNot(started);
    if (active.cause !== undefined) await this.#endings.finishSurely(started, verdictOn(active.cause, 0));
    else if (prepared instanceof BrokerError) await this.#endings.finishSurely(started, { state: 'failed', error: prepared.toInfo() });
    else await this.#execution.run(active, started, prepared, work);
  }

  #preparedOrWhyNot(flight: Flight): Prepared | BrokerError {
    try {
      const ready = this.#prepare(flight);
      return ready instanceof BrokerError ? ready : (this.#parts.refusalOf(flight) ?? ready);
    } catch (error) {
      // It is started, so an end is owed.
      return toBrokerError(error);
    }
  }

  /** Where it runs. Undefined when it can't, or is not wanted any more: then its verdict is written, unless the node stops. */
  async #place(active: ActiveRun, endpoint: Endpoint): Promise<Placed | undefined> {
    const { isolation } = this.#parts;
    const { flight, unwanted } = active;
    const placed = await isolation.place(flight, endpoint, unwanted.signal).catch(toBrokerError);
    if (active.cause === undefined && !(placed instanceof BrokerError)) return placed;
    if (!(placed instanceof BrokerError)) await isolation.dropped(placed);
    const verdict = verdictBeforeStart(active.cause, placed);
    if (verdict !== undefined) await this.#endings.finish(flight, verdict);
    return undefined;
  }

  async #goOn(active: ActiveRun): Promise<void> {
    const { flight } = active;
    const prepared = this.#prepare(flight);
    if (prepared instanceof BrokerError) return this.#endings.finishSurely(flight, { state: 'indeterminate', error: prepared.toInfo() });
    await this.#execution.run(active, flight, prepared);
  }

  /** All that can be missing is found before `started` is written. */
  #prepare(flight: Flight): Prepared | BrokerError {
    const endpoint = this.#parts.store.read.endpoint(flight.target);
    if (endpoint === undefined) return agentGone(flight.target, this.#parts.store.read.unlistedWhy(flight.target));
    const harness = this.#parts.harnesses.get(endpoint.harness);
    if (harness === undefined) return new BrokerError('unavailable', `this version has no harness ${endpoint.harness}`);
    return { endpoint, harness };
  }

  #stop(active: ActiveRun, cause: StopCause): void {
    if (active.cause !== undefined) return;
    active.cause = cause;
    active.unwanted.abort();
    active.requests?.close();
    active.ended = active.run?.stop(stopGraceMs);
  }

  #told(flight: Flight): void {
    this.#parts.feed.changed(flight.id);
    this.#parts.onEvents(flight);
    this.#parts.onLoad?.(flight.target);
  }
}

/** Runs of an agent at once. @param served what the processes take that serve it, if it is one that is served */
function mostOf(endpoint: Endpoint | undefined, served: number | undefined): number {
  return Math.min(served ?? endpoint?.concurrency ?? runsPerAgent, endpoint?.concurrency ?? Number.POSITIVE_INFINITY);
}
