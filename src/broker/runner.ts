/**
 * Runs what is queued for this node's agents. `started` is durable before anything is spawned, and a flight ends by
 * exactly one verdict: the agent's own end, a limit, a cancel, or a stop of the node.
 */
import { BrokerError, toBrokerError } from '../domain/errors.ts';
import type { ErrorInfo } from '../domain/errors.ts';
import type { Outcome } from '../domain/flight-event.ts';
import { isTerminal } from '../domain/flight.ts';
import type { Harness, ProcessMark, Run, RunEnd } from '../domain/harness-port.ts';
import type { FlightId } from '../domain/ids.ts';
import type { Endpoint, Invocation } from '../domain/invocation.ts';
import type { Clock, Log, UlidSource } from '../domain/ports.ts';
import { mayHaveRun } from '../domain/reconciliation.ts';
import type { Flight } from '../domain/records.ts';
import type { Answer } from '../domain/request.ts';
import type { Store } from '../domain/store-port.ts';
import type { Chronicler } from './chronicler.ts';
import type { Feed } from './feed.ts';
import { OutputBuffer } from './output-buffer.ts';
import { RunRequests } from './requests.ts';
import { RunLimits } from './run-limits.ts';

/** Runs at once of one agent, and of the node. */
export const runsPerAgent = 4;
export const runsPerNode = 32;
/** From TERM to KILL. */
export const stopGraceMs = 5000;
/** Between tries to write down what the store would not take, and before its agent's next run. */
const storeRetryMs = 2000;

export interface RunnerParts {
  readonly store: Store;
  readonly harnesses: ReadonlyMap<string, Harness>;
  readonly chronicler: Chronicler;
  readonly feed: Feed;
  readonly clock: Clock;
  readonly ulids: UlidSource;
  readonly log: Log;
  readonly environmentOf: (invocation: Invocation, flight: Flight) => Readonly<Record<string, string>>;
  /** Events of a flight became durable: its origin, if it is another node, is to be told. */
  readonly onEvents: (flight: Flight) => void;
  /** False for one whose turn has not come: `wakeAll` follows when it has. */
  readonly mayStart: (flight: Flight) => boolean;
}

type StopCause = 'cancel' | 'rolled back' | 'run limit' | 'idle limit' | 'total deadline' | 'node stopped';

interface ActiveRun {
  readonly flight: Flight;
  run: Run | undefined;
  requests: RunRequests | undefined;
  /** The first cause wins: it makes the verdict. */
  cause: StopCause | undefined;
  ended: Promise<number> | undefined;
  readonly done: Promise<void>;
}

export class Runner {
  readonly #parts: RunnerParts;
  readonly #active = new Map<FlightId, ActiveRun>();
  readonly #perAgent = new Map<string, number>();
  /** Agents that found the node full. */
  readonly #starved = new Set<string>();
  #accepting = true;
  /** Aborted when the node stops at once: nothing is waited for any more. */
  #forced = new AbortController().signal;

  constructor(parts: RunnerParts) {
    this.#parts = parts;
  }

  get running(): number {
    return this.#active.size;
  }

  /** Work may have been queued for the agent, or a place has come free. A store that can't be read now is asked again by the next `wakeAll`. */
  wake(address: string): void {
    try {
      this.#fill(address);
    } catch (error) {
      this.#parts.log.error({ agent: address, err: error }, 'the queue of an agent could not be read; it is looked at again');
    }
  }

  #fill(address: string): void {
    while (this.#accepting && (this.#perAgent.get(address) ?? 0) < runsPerAgent) {
      if (this.#active.size >= runsPerNode) {
        this.#starved.add(address);
        return;
      }
      const next = this.#parts.store.read.queued(address, runsPerAgent + 1).find((each) => !this.#active.has(each));
      const flight = next === undefined ? undefined : this.#parts.store.read.flight(next);
      if (flight === undefined || flight.state !== 'queued' || !this.#parts.mayStart(flight)) return;
      this.#begin(flight);
    }
  }

  /** At start, and now and then. */
  wakeAll(): void {
    for (const endpoint of this.#parts.store.read.endpoints()) this.wake(endpoint.address);
  }

  /** Ends a flight owned here, whatever it is at. Resolves when its verdict is durable. A finished one is left alone. */
  async end(flightId: FlightId, cause: 'cancel' | 'total deadline' | 'rolled back'): Promise<void> {
    const active = this.#active.get(flightId);
    if (active !== undefined) {
      this.#stop(active, cause);
      await active.done;
      return;
    }
    const flight = this.#parts.store.read.flight(flightId);
    if (flight === undefined || isTerminal(flight.state)) return;
    if (cause === 'rolled back') return this.#finish(flight, verdictOn(cause, 0));
    await this.#finish(flight, cause === 'cancel' ? { state: 'cancelled', ended: 0 } : { state: 'expired', error: expiredError() });
  }

  /** The store has taken an answer to a request of a flight that runs here. */
  answered(flightId: FlightId, request: string, answer: Answer): void {
    const active = this.#active.get(flightId);
    active?.requests?.answered(request, answer);
  }

  /** A verdict on a flight that is not running here: its agent is gone, its queue deadline has passed. */
  async settleQueued(flightId: FlightId, outcome: Outcome): Promise<void> {
    const flight = this.#parts.store.read.flight(flightId);
    if (flight === undefined || flight.state !== 'queued' || this.#active.has(flightId)) return;
    await this.#finish(flight, outcome);
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

  #begin(flight: Flight): void {
    const { target } = flight;
    const active: ActiveRun = { flight, run: undefined, requests: undefined, cause: undefined, ended: undefined, done: Promise.resolve() };
    this.#active.set(flight.id, active);
    this.#perAgent.set(target, (this.#perAgent.get(target) ?? 0) + 1);
    const done = this.#fly(active)
      .catch((error: unknown) => {
        this.#parts.log.error({ flightId: flight.id, err: error }, 'a run could not be started; it stays queued');
        return this.#pause(storeRetryMs);
      })
      .finally(() => {
        this.#active.delete(flight.id);
        const left = (this.#perAgent.get(target) ?? 1) - 1;
        if (left > 0) this.#perAgent.set(target, left);
        else this.#perAgent.delete(target);
        this.wake(target);
        for (const address of [...this.#starved]) {
          this.#starved.delete(address);
          this.wake(address);
        }
      });
    Object.assign(active, { done });
  }

  async #fly(active: ActiveRun): Promise<void> {
    const { store, chronicler } = this.#parts;
    const { flight } = active;
    if (flight.cancelRequestedAtMs !== undefined) return this.#finish(flight, { state: 'cancelled', ended: 0 });
    // Nobody looks at deadlines while the node is down, and an invocation may take long to get here.
    if (flight.run === 0 && flight.holdUntilMs <= this.#parts.clock.now()) return this.#finish(flight, { state: 'expired', error: expiredError() });
    const prepared = this.#prepare(flight);
    if (prepared instanceof BrokerError) return this.#finish(flight, { state: 'failed', error: prepared.toInfo() });
    const started = await store.write.start({ stamp: chronicler.stamp(), flightId: flight.id });
    if (started === undefined) return;
    this.#told(started.flight);
    if (active.cause !== undefined) return this.#finish(started.flight, verdictOn(active.cause, 0));
    try {
      await this.#execute(active, started.flight, prepared);
    } catch (error) {
      // `started` is written, so an end is owed.
      this.#parts.log.error({ flightId: flight.id, err: error }, 'a run was lost sight of');
      await this.#finishSurely(started.flight, { state: 'indeterminate', error: lostSight });
    }
  }

  /** All that can be missing is found before `started` is written. */
  #prepare(flight: Flight): { endpoint: Endpoint; harness: Harness } | BrokerError {
    const endpoint = this.#parts.store.read.endpoint(flight.target);
    if (endpoint === undefined) return agentGone(flight.target);
    const harness = this.#parts.harnesses.get(endpoint.harness);
    return harness === undefined
      ? new BrokerError('unavailable', `this version has no harness ${endpoint.harness}`)
      : { endpoint, harness };
  }

  async #execute(active: ActiveRun, flight: Flight, { endpoint, harness }: { endpoint: Endpoint; harness: Harness }): Promise<void> {
    const { store, clock, chronicler } = this.#parts;
    const invocation = store.read.invocation(flight.invocationId);
    const task = store.read.task(flight.invocationId);
    if (invocation === undefined || task === undefined) {
      return this.#finish(flight, { state: 'failed', error: { code: 'internal', message: 'the task is no longer stored' } });
    }
    const buffer = new OutputBuffer(flight.id, { write: store.write, chronicler, onStored: () => this.#told(flight) });
    const limits = new RunLimits(clock, flight.limits, (cause) => this.#stop(active, cause));
    const requests = new RunRequests(flight.id, {
      ...{ write: store.write, chronicler, clock, ulids: this.#parts.ulids, log: this.#parts.log },
      flush: () => buffer.flush(),
      onChanged: (changed) => this.#told(changed),
      onWaiting: (isWaiting) => limits.waits(isWaiting),
    });
    active.requests = requests;
    const run = harness.start(
      {
        invocationId: invocation.id,
        flightId: flight.id,
        run: flight.run,
        endpoint,
        task,
        session: invocation.session,
        flightEnv: this.#parts.environmentOf(invocation, flight),
      },
      {
        spawned: (process) => this.#record(flight, process),
        output: async (stream, bytes) => {
          limits.sawOutput();
          await buffer.add(stream, bytes);
        },
        ask: (ask) => requests.ask(ask),
      },
    );
    active.run = run;
    if (active.cause !== undefined) active.ended = run.stop(stopGraceMs);
    const end = await run.ended;
    requests.close();
    limits.clear();
    const ended = active.ended === undefined ? undefined : await active.ended;
    const verdict = active.cause === undefined ? outcomeOf(end) : verdictOn(active.cause, ended ?? 0);
    const isWhole = await buffer.flush().then(
      () => true,
      () => false,
    );
    await this.#finishSurely(flight, isWhole ? verdict : { ...verdict, state: verdict.state === 'completed' ? 'failed' : verdict.state, error: outputLost });
  }

  /** For the next start, should this node die before the agent ends. Nothing waits for it. */
  #record(flight: Flight, process: ProcessMark): void {
    this.#parts.store.write.recordProcess({ flightId: flight.id, process }).catch((error: unknown) => {
      this.#parts.log.warn({ flightId: flight.id, pid: process.pid, err: error }, 'the process of a run could not be recorded; if the node dies now, it stays');
    });
  }

  /** The agent has ended: its verdict is owed, however long the store refuses it. A stop of the node leaves it to the next start. */
  async #finishSurely(flight: Flight, outcome: Outcome): Promise<void> {
    for (;;) {
      try {
        await this.#finish(flight, outcome);
        return;
      } catch (error) {
        this.#parts.log.error({ flightId: flight.id, err: error }, 'the end of a run could not be stored; trying again');
        if (this.#forced.aborted) return;
        await this.#pause(storeRetryMs);
      }
    }
  }

  async #pause(ms: number): Promise<void> {
    const forced = this.#forced;
    if (forced.aborted) return;
    await new Promise<void>((resolve) => {
      const cancelTimer = this.#parts.clock.setTimer(ms, resolve);
      forced.addEventListener('abort', () => (cancelTimer(), resolve()), { once: true });
    });
  }

  #stop(active: ActiveRun, cause: StopCause): void {
    if (active.cause !== undefined) return;
    active.cause = cause;
    active.requests?.close();
    active.ended = active.run?.stop(stopGraceMs);
  }

  async #finish(flight: Flight, outcome: Outcome): Promise<void> {
    const { store, chronicler } = this.#parts;
    const finished = await store.write.finish({ stamp: chronicler.stamp(), flightId: flight.id, outcome });
    if (finished !== undefined) this.#told(finished.flight);
  }

  #told(flight: Flight): void {
    this.#parts.feed.changed(flight.id);
    this.#parts.onEvents(flight);
  }
}

const lostSight: ErrorInfo = {
  code: 'internal',
  message: 'its node lost sight of it after it was started: it may or may not have done its work',
  hint: 'the log of that node says why; see what it did before you invoke it again',
};

const outputLost: ErrorInfo = {
  code: 'unavailable',
  message: 'its node could not store all of its output',
  hint: 'make room on the disk of that node; what was stored is in flight output',
};

/** @returns the agent's own end as the flight's outcome. A failure of the agent itself carries no error code. */
function outcomeOf(end: RunEnd): Outcome {
  if (end.error !== undefined) return { state: 'failed', error: toBrokerError(new BrokerError(end.error.code, end.error.message, end.error)).toInfo() };
  if (end.signal !== undefined) return { state: 'failed', signal: end.signal };
  return { state: end.exitCode === 0 ? 'completed' : 'failed', exitCode: end.exitCode ?? -1 };
}

function verdictOn(cause: StopCause, ended: number): Outcome {
  switch (cause) {
    case 'cancel':
      return { state: 'cancelled', ended };
    case 'rolled back':
      return { state: 'indeterminate', ended, error: mayHaveRun };
    case 'node stopped':
      return {
        state: 'indeterminate',
        ended,
        error: { code: 'cancelled', message: 'its node was stopped by force while it ran', hint: 'see what it did, then invoke it again' },
      };
    case 'run limit':
    case 'idle limit':
    case 'total deadline':
      return { state: 'failed', ended, error: { code: 'deadline', message: `the agent was ended: it overran its ${cause}` } };
  }
}

export function agentGone(address: string): BrokerError {
  return new BrokerError('unavailable', `${address} is no longer registered on its node`, { hint: 'see what is: beckon agents' });
}

export function expiredError(): { code: 'cancelled'; message: string } {
  return { code: 'cancelled', message: 'its queue deadline passed before it could start' };
}
