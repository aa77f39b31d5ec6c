/** How an agent is run. An adapter knows start, output, stop; nothing above it knows which harness it is. */
import type { ErrorInfo } from './errors.ts';
import type { OutputStream } from './flight-event.ts';
import type { FlightId, InvocationId, SessionId } from './ids.ts';
import type { Endpoint, Task } from './invocation.ts';
import type { Progress } from './progress.ts';
import type { Answer, Ask } from './request.ts';

/** A conversation with an agent that later invocations can go on with. One turn of it runs at a time. */
export interface TurnSession {
  readonly id: SessionId;
  /** What the agent itself calls it, as `bindSession` recorded in an earlier turn. */
  readonly agentSession?: string;
}

export interface RunRequest {
  readonly invocationId: InvocationId;
  readonly flightId: FlightId;
  readonly run: number;
  readonly endpoint: Endpoint;
  readonly task: Task;
  /** For a harness that keeps sessions. */
  readonly session?: TurnSession;
  /** Set on top of the agent's own environment: the flight's ids. */
  readonly flightEnv: Readonly<Record<string, string>>;
}

/** One process among all that this machine has run: a number alone comes again. */
export interface ProcessMark {
  /** Leads its group and session. */
  readonly pid: number;
  readonly session: number;
  /** As the platform tells it: compared, never computed with. */
  readonly startedAt: string;
  /** Of the machine's current boot. */
  readonly bootId: string;
}

export interface FlightProcess extends ProcessMark {
  readonly flightId: FlightId;
}

/** Processes whose node died. */
export interface Orphans {
  /**
   * Ends, with its whole group and session, each process that is still the recorded one: same boot, pid, start time,
   * and the flight's id in its environment. Any mismatch leaves it alone.
   * @returns how many processes of each flight were ended; flights without any are left out
   */
  sweep(left: readonly FlightProcess[], graceMs: number): Promise<ReadonlyMap<FlightId, number>>;
}

export interface RunSink {
  /** The agent's process is there. Not called where the platform gives no mark that holds. */
  spawned?(process: ProcessMark): void;
  /**
   * Output in order, pieces of at most `maxOutputChunk` bytes that never cut a UTF-8 character.
   * @returns resolves when there is room for more: await it before reading on.
   */
  output(stream: OutputStream, bytes: Uint8Array): Promise<void>;
  /** What it does besides answering, in order with its output. Bounded by the receiver. Rejects as `output` does. */
  progress(progress: Progress): Promise<void>;
  /** The agent has begun this session under a name of its own. Resolves when that is durable: a later turn can go on with it. */
  bindSession(agentSession: string): Promise<void>;
  /**
   * Asks the people behind the flight and waits for their word. Never rejects. What was output before is seen before;
   * one request of a flight is put to them at a time, others stand behind it in order. None outlives its run.
   */
  ask(ask: Ask): Promise<Answer>;
}

/**
 * How the agent's process ended, or its turn. `error` alone when it never came up: it can't be had. `error` with an exit
 * code other than 0 or a signal is the agent's own failure, in words.
 */
export interface RunEnd {
  readonly exitCode?: number;
  readonly signal?: string;
  readonly error?: ErrorInfo;
  /** Nobody here can tell whether the agent did its work: `indeterminate`, for the reason in `error`. */
  readonly isUnknown?: boolean;
  /** Its process waits for the next turn of its session: what `spawned` recorded stays so until `HarnessEvents.ended`. */
  readonly isKept?: boolean;
}

/** What a harness tells its node outside of any run. */
export interface HarnessEvents {
  /** A process that was kept after its run is gone. `flightId`: whose it was when it was spawned. */
  ended(flightId: FlightId): void;
}

export interface Run {
  /** Resolves once, after all output was handed to the sink. Never rejects. */
  readonly ended: Promise<RunEnd>;
  /**
   * TERM to the whole process group, KILL after `graceMs`. Resolves when nothing of the group is left.
   * @returns the number of processes ended; 0 when it was over already. A second call joins the first.
   */
  stop(graceMs: number): Promise<number>;
  /** So many of the pieces that this run has handed to its sink, output and progress together, are durable by now. */
  stored?(pieces: number): void;
  /** The verdict on it is durable: nothing of it is needed any more. */
  settled?(): void;
}

export interface Availability {
  readonly available: boolean;
  /** Why not, and what to do, in a few words. */
  readonly why?: string;
}

/** What tells that a project is set up for an agent. */
export interface Fit {
  /** The file or directory that says so. */
  readonly mark: string;
  /** Made for this kind of agent, and not for any. */
  readonly isItsOwn: boolean;
}

export interface Harness {
  readonly name: string;
  /** Whether `--continue` and `--session` mean anything to it. */
  readonly keepsSessions: boolean;
  /** Cheap, spends nothing, starts nothing of the agent. */
  check(endpoint: Endpoint): Promise<Availability>;
  /** Whether the project there is set up for its agent: for those that are added without a harness. */
  fit?(cwd: string): Promise<Fit | undefined>;
  /** Spawns. Failures to start show up in `ended`, not as a rejection. */
  start(request: RunRequest, sink: RunSink): Run;
  /** Ends what is kept warm for that session, whose directory is about to go. No turn of it is going on. */
  endSession?(session: SessionId): Promise<void>;
  /** How many runs of this agent it takes at once now; without it the node's usual limit holds. */
  concurrency?(address: string): number;
  /**
   * Goes on with a run that was at work when this node died, if its process comes back in time; a run of which nobody
   * knows any more ends `isUnknown`. Only where a process may outlive its node.
   * @param pieces of it that are durable: what follows them is wanted, and nothing twice
   */
  adopt?(request: RunRequest, sink: RunSink, pieces: number): Run;
  /** The agent is not registered any more. What runs is left to end. */
  removed?(address: string): void;
  /** The agent is called otherwise from now on. What runs goes on. */
  renamed?(from: string, to: string): void;
  /** Ends what is kept warm. No run is going on. Idempotent. */
  close?(): Promise<void>;
}
