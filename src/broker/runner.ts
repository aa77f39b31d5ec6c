/**
 * Runs what is queued for this node's agents. `started` is durable before anything is spawned, and a flight ends by
 * exactly one verdict: the agent's own end, a limit, a cancel, or a stop of the node.
 */
import { BrokerError, toBrokerError } from '../domain/errors.ts';
import type { Outcome } from '../domain/flight-event.ts';
import { isTerminal } from '../domain/flight.ts';
import type { Harness, ProcessMark, Run, RunEnd, RunRequest, RunSink, TurnSession } from '../domain/harness-port.ts';
import { flightOfInvocation, sessionOfInvocation } from '../domain/ids.ts';
import type { FlightId, NodeId } from '../domain/ids.ts';
import type { Endpoint, Invocation } from '../domain/invocation.ts';
import type { Clock, Log, UlidSource } from '../domain/ports.ts';
import { bounded } from '../domain/progress.ts';
import type { Flight } from '../domain/records.ts';
import type { Answer } from '../domain/request.ts';
import type { Readdressed, Store } from '../domain/store-port.ts';
import type { Wishes } from '../domain/wishes.ts';
import { ActiveRuns, runsPerAgent } from './active-runs.ts';
import type { ActiveRun } from './active-runs.ts';
import type { Chronicler } from './chronicler.ts';
import { Endings } from './endings.ts';
import type { Feed } from './feed.ts';
import type { Isolation, Placed } from './isolation.ts';
import { OutputBuffer } from './output-buffer.ts';
import { RunRequests } from './requests.ts';
import { RunLimits } from './run-limits.ts';
import { agentGone, expiredError, lostSight, outputLost, verdictBeforeStart, verdictFrom, verdictOn } from './verdicts.ts';
import type { StopCause } from './verdicts.ts';

/** From TERM to KILL. */
export const stopGraceMs = 5000;
const openPage = 500;

export interface RunnerParts {
  readonly store: Store;
  readonly harnesses: ReadonlyMap<string, Harness>;
  readonly chronicler: Chronicler;
  readonly feed: Feed;
  readonly clock: Clock;
  readonly ulids: UlidSource;
  readonly log: Log;
  readonly environmentOf: (invocation: Invocation, flight: Flight) => Readonly<Record<string, string>>;
  /** How long a request of an agent waits unless the agent says otherwise. */
  readonly wishes?: Wishes | undefined;
  /** Events of a flight became durable: its origin, if it is another node, is to be told. */
  readonly onEvents: (flight: Flight) => void;
  /** An agent could not do its work: it may not be available any more. */
  readonly onDoubt: (address: string) => void;
  /** False for one whose turn has not come: `wakeAll` follows when it has. */
  readonly mayStart: (flight: Flight) => boolean;
  /** Why its caller may not have this done, as it is now. */
  readonly refusalOf: (flight: Flight) => BrokerError | undefined;
  readonly isolation: Isolation;
  /** How much runs and waits of that agent may be another than before. */
  readonly onLoad?: (address: string) => void;
}

export class Runner {
  readonly #parts: RunnerParts;
  readonly #active = new ActiveRuns();
  readonly #endings: Endings;
  /** Agents that found the node full. */
  readonly #starved = new Set<string>();
  #accepting = true;
  /** Aborted when the node stops at once: nothing is waited for any more. */
  #forced = new AbortController().signal;

  constructor(parts: RunnerParts) {
    this.#parts = parts;
    const { store, chronicler, clock, log } = parts;
    this.#endings = new Endings({ store, chronicler, clock, log, forced: () => this.#forced, told: (flight) => this.#told(flight) });
  }

  get running(): number {
    return this.#active.size;
  }

  /** How many runs of each agent there are now. */
  runningByAgent(): ReadonlyMap<string, number> {
    return this.#active.counts();
  }

  /** Work may have been queued for the agent, or a place has come free. A store that can't be read now is asked again by the next `wakeAll`. */
  wake(address: string): void {
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
    this.#begin(flight, { isAdopted: true, isServed: true });
    const active = this.#active.get(flightId);
    if (active !== undefined && flight.cancelRequestedAtMs !== undefined) this.#stop(active, 'cancel');
  }

  #fill(address: string): void {
    const { store, harnesses } = this.#parts;
    const served = harnesses.get(store.read.endpoint(address)?.harness ?? '')?.concurrency?.(address);
    for (let flying = this.#active.of(address); this.#accepting && flying.length < (served ?? runsPerAgent); flying = this.#active.of(address)) {
      if (served === undefined && this.#active.isFull) {
        this.#starved.add(address);
        return;
      }
      const busy = flying.flatMap(({ sessionId }) => sessionId ?? []);
      const next = store.read.queued(address, flying.length + 1, busy).find((each) => !this.#active.has(each));
      const flight = next === undefined ? undefined : this.#parts.store.read.flight(next);
      if (flight === undefined || flight.state !== 'queued' || !this.#parts.mayStart(flight)) return;
      this.#begin(flight, { isAdopted: false, isServed: served !== undefined });
    }
  }

  /** What runs goes on, and counts for its agent as before; what waits is looked at. */
  renamed(agents: readonly Readdressed[]): void {
    this.#active.renamed(agents);
    for (const { from, to } of agents) for (const address of [from, to]) this.#parts.onLoad?.(address);
    this.wakeAll();
  }

  /** At start, and now and then. What is queued for an agent that is gone ends, too: a node may have died before it came to that. */
  wakeAll(): void {
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

  #begin(flight: Flight, how: Pick<ActiveRun, 'isAdopted' | 'isServed'>): void {
    const { target } = flight;
    const active: ActiveRun = { flight, target, ...how, run: undefined, requests: undefined, cause: undefined, ended: undefined, unwanted: new AbortController(), done: Promise.resolve() };
    this.#active.set(flight.id, active);
    const done = (how.isAdopted ? this.#goOn(active) : this.#fly(active))
      .catch((error: unknown) => {
        this.#parts.log.error({ flightId: flight.id, err: error }, 'a run could not be started; it stays queued');
        return this.#endings.pause();
      })
      .finally(() => {
        this.#active.delete(flight.id);
        this.wake(active.target);
        for (const address of [...this.#starved]) {
          this.#starved.delete(address);
          this.wake(address);
        }
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
    if (active.cause === undefined) await this.#execute(active, started, { ...prepared, endpoint: placed.endpoint });
    else await this.#endings.finishSurely(started, verdictOn(active.cause, 0));
    if (placed.worktree !== undefined && !this.#forced.aborted) await this.#parts.isolation.over(flight.id);
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
    await this.#execute(active, flight, prepared);
  }

  async #execute(active: ActiveRun, flight: Flight, prepared: { endpoint: Endpoint; harness: Harness }): Promise<void> {
    try {
      await this.#run(active, flight, prepared);
    } catch (error) {
      // `started` is written, so an end is owed.
      this.#parts.log.error({ flightId: flight.id, err: error }, 'a run was lost sight of');
      await this.#endings.finishSurely(flight, { state: 'indeterminate', error: lostSight });
    }
  }

  /** All that can be missing is found before `started` is written. */
  #prepare(flight: Flight): { endpoint: Endpoint; harness: Harness } | BrokerError {
    const endpoint = this.#parts.store.read.endpoint(flight.target);
    if (endpoint === undefined) return agentGone(flight.target, this.#parts.store.read.unlistedWhy(flight.target));
    const harness = this.#parts.harnesses.get(endpoint.harness);
    if (harness === undefined) return new BrokerError('unavailable', `this version has no harness ${endpoint.harness}`);
    return { endpoint, harness };
  }

  async #run(active: ActiveRun, flight: Flight, { endpoint, harness }: { endpoint: Endpoint; harness: Harness }): Promise<void> {
    const { store, clock, chronicler } = this.#parts;
    const invocation = store.read.invocation(flight.invocationId);
    const task = store.read.task(flight.invocationId);
    if (invocation === undefined || task === undefined) {
      return this.#endings.finish(flight, { state: 'failed', error: { code: 'internal', message: 'the task is no longer stored' } });
    }
    const pieces = active.isAdopted ? await store.inspect.pieces(flight.id) : 0;
    const onStored = (count: number): void => (this.#told(flight), active.run?.stored?.(count));
    const buffer = new OutputBuffer(flight.id, { write: store.write, chronicler, onStored });
    const ranMs = active.isAdopted ? clock.now() - (flight.startedAtMs ?? clock.now()) : 0;
    const limits = new RunLimits(clock, flight.limits, (cause) => this.#stop(active, cause), ranMs);
    const requests = new RunRequests(flight.id, {
      ...{ write: store.write, chronicler, clock, ulids: this.#parts.ulids, log: this.#parts.log },
      flush: () => buffer.flush(),
      onChanged: (changed) => this.#told(changed),
      onWaiting: (isWaiting) => limits.waits(isWaiting),
      wishes: this.#parts.wishes,
    });
    active.requests = requests;
    if (active.isAdopted && flight.waiting !== undefined) requests.restore(flight.waiting);
    const begin = (request: RunRequest, sink: RunSink): Run => (active.isAdopted ? harness.adopt?.(request, sink, pieces) : undefined) ?? harness.start(request, sink);
    const run = begin(
      {
        invocationId: invocation.id,
        flightId: flight.id,
        run: flight.run,
        endpoint,
        task,
        ...(harness.keepsSessions ? { session: this.#sessionOf(flight) } : {}),
        flightEnv: this.#parts.environmentOf(invocation, flight),
      },
      {
        spawned: (process) => this.#record(flight, process),
        output: async (stream, bytes) => {
          limits.sawOutput();
          await buffer.add(stream, bytes);
        },
        progress: async (progress) => {
          limits.sawOutput();
          await buffer.addProgress(bounded(progress));
        },
        bindSession: async (agentSession) => {
          if (flight.sessionId !== undefined) await store.write.bindSession({ flightId: flight.id, agentSession });
        },
        ask: (ask) => requests.ask(ask),
      },
    );
    active.run = run;
    if (active.cause !== undefined) active.ended = run.stop(stopGraceMs);
    const end = await run.ended;
    requests.close();
    limits.clear();
    if (end.error !== undefined) this.#parts.onDoubt(flight.target);
    const ended = active.ended === undefined ? undefined : await active.ended;
    const verdict = verdictFrom(active.cause, end, ended ?? 0);
    const last = await buffer.rest().catch(toBrokerError);
    const told: Outcome = last instanceof BrokerError ? { ...verdict, state: verdict.state === 'completed' ? 'failed' : verdict.state, error: outputLost } : verdict;
    if (end.isUnknown === true && active.isAdopted && active.cause === undefined) await this.#giveUp(flight, end);
    else await this.#endings.finishSurely(flight, told, { keepsProcesses: end.isKept ?? false, last: last instanceof BrokerError ? [] : last });
    run.settled?.();
  }

  /** Nobody came back to it. */
  async #giveUp(flight: Flight, { error = lostSight }: RunEnd): Promise<void> {
    const { store, chronicler } = this.#parts;
    await this.#endings.surely(flight, () => store.write.giveUp({ stamp: chronicler.stamp(), flightId: flight.id, error }));
  }

  #sessionOf({ sessionId, invocationId }: Flight): TurnSession {
    // Taken in while its agent had a harness without sessions.
    if (sessionId === undefined) return { id: sessionOfInvocation(invocationId) };
    return this.#parts.store.read.session(sessionId) ?? { id: sessionId };
  }

  /** For the next start, should this node die before the agent ends. Nothing waits for it. */
  #record(flight: Flight, process: ProcessMark): void {
    this.#parts.store.write.recordProcess({ flightId: flight.id, process }).catch((error: unknown) => {
      this.#parts.log.warn({ flightId: flight.id, pid: process.pid, err: error }, 'the process of a run could not be recorded; if the node dies now, it stays');
    });
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
