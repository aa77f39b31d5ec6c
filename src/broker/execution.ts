/** One run of a flight, from the start of its harness to the verdict that is owed. */
import { BrokerError, toBrokerError } from '../domain/errors.ts';
import type { Outcome } from '../domain/flight-event.ts';
import type { Harness, ProcessMark, Run, RunEnd, RunRequest, RunSink, TurnSession } from '../domain/harness-port.ts';
import { sessionOfInvocation } from '../domain/ids.ts';
import type { Endpoint, Invocation, Work } from '../domain/invocation.ts';
import type { Clock, Log, UlidSource } from '../domain/ports.ts';
import { bounded } from '../domain/progress.ts';
import type { Flight } from '../domain/records.ts';
import type { Store } from '../domain/store-port.ts';
import type { Wishes } from '../domain/wishes.ts';
import type { ActiveRun } from './active-runs.ts';
import type { Chronicler } from './chronicler.ts';
import type { Endings } from './endings.ts';
import { OutputBuffer } from './output-buffer.ts';
import { RunRequests } from './requests.ts';
import { RunLimits } from './run-limits.ts';
import { storedWork } from './stored-work.ts';
import { lostSight, outputLost, verdictFrom } from './verdicts.ts';
import type { StopCause } from './verdicts.ts';

/** From TERM to KILL. */
export const stopGraceMs = 5000;

export interface ExecutionParts {
  readonly store: Store;
  readonly chronicler: Chronicler;
  readonly clock: Clock;
  readonly ulids: UlidSource;
  readonly log: Log;
  readonly environmentOf: (invocation: Invocation, flight: Flight) => Readonly<Record<string, string>>;
  readonly wishes?: Wishes | undefined;
  /** An agent could not do its work: it may not be available any more. */
  readonly onDoubt: (address: string) => void;
  readonly endings: Endings;
  readonly told: (flight: Flight) => void;
  readonly stop: (active: ActiveRun, cause: StopCause) => void;
}

export interface Prepared {
  readonly endpoint: Endpoint;
  readonly harness: Harness;
}

export class Execution {
  readonly #parts: ExecutionParts;

  constructor(parts: ExecutionParts) {
    this.#parts = parts;
  }

  /** Its start is stored. Resolves when its verdict is, too. @param work when it is at hand */
  async run(active: ActiveRun, flight: Flight, prepared: Prepared, work?: Work): Promise<void> {
    try {
      await this.#run(active, flight, prepared, work ?? (await storedWork(this.#parts.store, flight.invocationId)));
    } catch (error) {
      // `started` is written, so an end is owed.
      this.#parts.log.error({ flightId: flight.id, err: error }, 'a run was lost sight of');
      await this.#parts.endings.finishSurely(flight, { state: 'indeterminate', error: lostSight });
    }
  }

  async #run(active: ActiveRun, flight: Flight, { endpoint, harness }: Prepared, work: Work | undefined): Promise<void> {
    const { store, clock, chronicler } = this.#parts;
    if (work === undefined) {
      return this.#parts.endings.finish(flight, { state: 'failed', error: { code: 'internal', message: 'the task is no longer stored' } });
    }
    const { invocation, task } = work;
    const pieces = active.isAdopted ? await store.inspect.pieces(flight.id) : 0;
    const onStored = (count: number, lastSeq: number): void => (this.#parts.told({ ...flight, lastSeq }), active.run?.stored?.(count));
    const buffer = new OutputBuffer(flight.id, { write: store.write, chronicler, onStored });
    const ranMs = active.isAdopted ? clock.now() - (flight.startedAtMs ?? clock.now()) : 0;
    const limits = new RunLimits(clock, flight.limits, (cause) => this.#parts.stop(active, cause), ranMs);
    const requests = new RunRequests(flight.id, {
      ...{ write: store.write, chronicler, clock, ulids: this.#parts.ulids, log: this.#parts.log },
      flush: () => buffer.flush(),
      onChanged: (changed) => this.#parts.told(changed),
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
        ...(harness.keepsSessions ? { session: this.#sessionOf(flight, invocation) } : {}),
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
    else await this.#parts.endings.finishSurely(flight, told, { keepsProcesses: end.isKept ?? false, last: last instanceof BrokerError ? [] : last });
    run.settled?.();
  }

  /** Nobody came back to it. */
  async #giveUp(flight: Flight, { error = lostSight }: RunEnd): Promise<void> {
    const { store, chronicler } = this.#parts;
    await this.#parts.endings.surely(flight, () => store.write.giveUp({ stamp: chronicler.stamp(), flightId: flight.id, error }));
  }

  #sessionOf({ sessionId, run }: Flight, { id, session }: Invocation): TurnSession {
    // Taken in while its agent had a harness without sessions.
    if (sessionId === undefined) return { id: sessionOfInvocation(id) };
    // That it began: its agent has no name for it yet.
    if (session.mode === 'new' && run === 1) return { id: sessionId };
    return this.#parts.store.read.session(sessionId) ?? { id: sessionId };
  }

  /** For the next start, should this node die before the agent ends. Nothing waits for it. */
  #record(flight: Flight, process: ProcessMark): void {
    this.#parts.store.write.recordProcess({ flightId: flight.id, process }).catch((error: unknown) => {
      this.#parts.log.warn({ flightId: flight.id, pid: process.pid, err: error }, 'the process of a run could not be recorded; if the node dies now, it stays');
    });
  }
}
