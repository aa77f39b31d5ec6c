/** Serving an agent: a function of the task, what it is given to work with, and what its process can say of it. */
import type { Visibility } from '../domain/registration.ts';
import type { TurnSession } from '../domain/harness-port.ts';
import type { FlightId, InvocationId } from '../domain/ids.ts';
import type { OutputStream } from '../domain/flight-event.ts';
import type { TaskFile } from '../domain/invocation.ts';
import type { Progress } from '../domain/progress.ts';
import type { Answer, Ask } from '../domain/request.ts';
import type { Call } from './call.ts';
import type { Content, InvokeOptions } from './invoke-options.ts';

/** A question needs only its prompt; `reason` is `input` unless it is an `approval`. */
export type Question = string | (Pick<Ask, 'prompt' | 'timeoutMs'> & Partial<Ask>);

export interface RunContext {
  /** The agent, as it is called. */
  readonly address: string;
  readonly flightId: FlightId;
  readonly invocationId: InvocationId;
  /** 1, and more when a flight that may run again was begun anew. */
  readonly run: number;
  /** The same in all turns of one conversation, of which one goes on at a time. `agentSession`: as an earlier turn named it. */
  readonly session?: TurnSession;
  /** The task as it came, byte by byte. */
  readonly bytes: Uint8Array;
  readonly files: readonly TaskFile[];
  /** For processes that it starts: with these in their environment, what they invoke is a child of this flight. */
  readonly env: Readonly<Record<string, string>>;
  /** Aborts when the flight is cancelled, overran a limit, or is lost to this process: end soon. */
  readonly signal: AbortSignal;
  /** A piece of the answer. Resolves when there is room for more: await it. */
  readonly write: (content: Content, stream?: OutputStream) => Promise<void>;
  /** Beside the answer, for people. */
  readonly stderr: (content: Content) => Promise<void>;
  /** What it does besides answering: a tool call, a plan, a diff, a thought, usage. */
  readonly progress: (progress: Progress) => Promise<void>;
  /** Names the session for later turns, which are told so: for an agent that keeps conversations under names of its own. */
  readonly nameSession: (name: string) => void;
  /** Asks the people behind the flight, and waits for their word: 10 minutes unless `timeoutMs` says otherwise, then it is a no. */
  readonly ask: (question: Question) => Promise<Answer>;
  /** Calls another agent as a child of this flight; it is cancelled when this run is, unless `signal` or `detach` say otherwise. */
  readonly invoke: (address: string, task?: Content, options?: InvokeOptions) => Call;
}

export type Answered = Content | undefined | void;

/**
 * Returns the answer, or yields it piece by piece. What it throws fails the flight, with the error's message.
 * @param task as UTF-8
 */
export type Handler = (task: string, context: RunContext) => Answered | Promise<Answered> | AsyncIterable<Content> | Iterable<Content>;

export interface ServeOptions {
  /** Runs at once, 4 by default; the rest waits in the agent's queue. */
  readonly concurrency?: number;
  /** Without a workspace in the address it is the git branch of this directory, or its name; the current one by default. */
  readonly cwd?: string;
  readonly description?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly capabilities?: readonly string[];
  /** Who may see it: the whole mesh by default. */
  readonly visibility?: Visibility;
  /** Of several workspaces, the one that is meant when none is named. */
  readonly isDefault?: boolean;
  /** Told what a handler threw; the flight has failed with its message. */
  readonly onError?: (error: unknown, context: RunContext) => void;
}

/** An agent that this process serves, until `close`. */
export interface Server extends AsyncDisposable {
  /** The agent, as it is called now. */
  readonly address: string;
  /** Runs at work. */
  readonly running: number;
  /** Resolves once it is closed. Rejects with a BrokerError when it can't serve any more: the agent was removed, say. */
  readonly closed: Promise<void>;
  /** Takes nothing more, and resolves when what runs has ended and the node has all of it. */
  close(): Promise<void>;
}
