/** One process that speaks the Agent Client Protocol, with at most one session, and one turn of it at a time. */
import { client, methods, PROTOCOL_VERSION, type ClientConnection, type ContentBlock } from '@agentclientprotocol/sdk';
import type { z } from 'zod';
import { BrokerError } from '../../domain/errors.ts';
import type { ProcessMark } from '../../domain/harness-port.ts';
import type { FlightId } from '../../domain/ids.ts';
import type { Clock, Log } from '../../domain/ports.ts';
import { readBy } from '../../domain/read-by.ts';
import type { TraceHeaders } from '../../domain/trace-context.ts';
import type { Child } from '../child.ts';
import { ProcessGroup } from '../process-group.ts';
import type { ReadProcesses } from '../process-table.ts';
import * as answers from './answers.ts';
import type { Exit } from './failures.ts';
import { LastWords } from './last-words.ts';
import { cancelled, type Outcome } from './permission.ts';
import { elicitation, type Elicited } from './question.ts';
import { Wire } from './wire.ts';

/** How long an agent may go on after it closed its stdout, and its stdout stay open after it has ended, ms. */
const lingerMs = 1000;
/** Silence after which an agent has told all that it had to of a session's earlier turns, ms, and the longest that it is listened to. */
const replayedMs = 300;
const longestReplayMs = 20_000;
/** Between TERM and KILL for what is left of it, ms. */
const leftoverGraceMs = 2000;

export interface AgentParts {
  readonly clock: Clock;
  readonly readProcesses: ReadProcesses;
  readonly log?: Log;
  /** Of this node: agents like to know who calls. */
  readonly version: string;
}

/** What takes part in a turn on this side. */
export interface TurnPort {
  /** Rejects when nobody can take it: the agent is cut off then. */
  update(update: unknown): Promise<void>;
  permission(request: z.infer<typeof answers.permissionRequest>): Promise<Outcome>;
  question(request: z.infer<typeof elicitation>): Promise<Elicited>;
}

export class AcpAgent {
  /** The flight that it was spawned for, which its environment names. */
  readonly flightId: FlightId;
  readonly mark: ProcessMark | undefined;
  readonly lastWords = new LastWords();
  /** Resolves when nothing of it is left. Never rejects. */
  readonly gone: Promise<void>;
  readonly #parts: AgentParts;
  readonly #group: ProcessGroup;
  readonly #wire: Wire;
  readonly #connection: ClientConnection;
  #exit: Exit | undefined;
  #ownExit: Exit | undefined;
  #can: answers.Initialized['agentCapabilities'];
  #session: string | undefined;
  /** Reports of its session so far. */
  #updates = 0;
  #modes: answers.Modes;
  #mode: string | undefined;
  #turn: TurnPort | undefined;

  /** Takes over a child whose stdin is a pipe, from its first byte on. */
  constructor(child: Child, flightId: FlightId, parts: AgentParts) {
    if (child.stdin === undefined) throw new Error('an agent is talked to on its stdin');
    this.flightId = flightId;
    this.mark = child.mark;
    this.#parts = parts;
    this.#group = new ProcessGroup(child.pid, { clock: parts.clock, readProcesses: parts.readProcesses, kill: (pid, signal) => void process.kill(pid, signal) });
    this.#wire = new Wire({ stdin: child.stdin, stdout: child.stdout, onUpdate: (params) => this.#update(params), onStray: (line) => this.lastWords.add(Buffer.concat([line, Buffer.from('\n')])) });
    child.stderr.on('data', (bytes: Buffer) => this.lastWords.add(bytes));
    child.stderr.on('error', () => undefined);
    this.#connection = client({ name: 'beckon' })
      .onRequest(
        methods.client.session.requestPermission,
        (params) => answers.permissionRequest.parse(params),
        async ({ params }) => ({ outcome: params.sessionId === this.#session && this.#turn !== undefined ? await this.#turn.permission(params) : cancelled }),
      )
      .onRequest(
        methods.client.elicitation.create,
        (params) => elicitation.parse(params),
        ({ params }) => (params.sessionId === this.#session && this.#turn !== undefined ? this.#turn.question(params) : { action: 'cancel' }),
      )
      .connect(this.#wire.stream);
    const reading = this.#wire.run();
    const exited = child.exited.then((how) => {
      this.#exit = how;
      this.#group.leaderReaped();
    });
    this.gone = this.#watch(exited, reading).catch((error: unknown) => parts.log?.error({ err: error, flightId }, 'an agent could not be ended'));
  }

  /** How its process ended; undefined while it runs. */
  get exit(): Exit | undefined {
    return this.#exit;
  }

  /** The same, unless it was only ended for having closed its stdout. */
  get ownExit(): Exit | undefined {
    return this.#ownExit;
  }

  /** What it has said that it can. */
  get can(): answers.Initialized['agentCapabilities'] {
    return this.#can;
  }

  /** Those of its session, as they were when it was opened. */
  get modes(): answers.Modes {
    return this.#modes;
  }

  /** The one that its session is in now. */
  get mode(): string | undefined {
    return this.#mode;
  }

  /** Its own name for its session. */
  get session(): string | undefined {
    return this.#session;
  }

  /** @throws BrokerError `incompatible`, RequestError of the agent, or why the connection broke */
  async initialize(): Promise<answers.Initialized> {
    const answer = await this.#connection.agent.request(methods.agent.initialize, {
      protocolVersion: PROTOCOL_VERSION,
      // It has files and a shell of its own, and works on them as its user: nothing is gained by doing that for it.
      clientCapabilities: { fs: { readTextFile: false, writeTextFile: false }, terminal: false, elicitation: { form: {} } },
      clientInfo: { name: 'beckon', title: 'Beckon', version: this.#parts.version },
    });
    const initialized = understood('initialize', answers.initialized, answer);
    this.#can = initialized.agentCapabilities;
    if (initialized.protocolVersion === PROTOCOL_VERSION) return initialized;
    throw new BrokerError('incompatible', `the agent speaks version ${initialized.protocolVersion} of the Agent Client Protocol, and Beckon version ${PROTOCOL_VERSION}`, { hint: 'install another version of the agent' });
  }

  async authenticate(methodId: string): Promise<void> {
    await this.#connection.agent.request(methods.agent.authenticate, { methodId });
  }

  /** Begins a session. */
  async begin(cwd: string): Promise<void> {
    const { sessionId, modes } = understood('session/new', answers.newSession, await this.#connection.agent.request(methods.agent.session.new, { cwd, mcpServers: [] }));
    this.#session = sessionId;
    this.#enter(modes);
  }

  /** Goes on with one. What it tells of its earlier turns is not heard: no turn is going on. */
  async goOn(how: 'resume' | 'load', sessionId: string, cwd: string): Promise<void> {
    // Named before the answer, since reports of it may come first.
    this.#session = sessionId;
    const method = how === 'resume' ? methods.agent.session.resume : methods.agent.session.load;
    this.#enter(understood(method, answers.openedSession, await this.#connection.agent.request(method, { sessionId, cwd, mcpServers: [] }))?.modes);
    if (how === 'load') await this.#replayed();
  }

  /** The protocol wants all of it told before the answer; Gemini CLI 0.61 answers in the middle of it. */
  async #replayed(): Promise<void> {
    const untilMs = this.#parts.clock.monotonic() + longestReplayMs;
    for (let heard = -1; heard !== this.#updates && this.#parts.clock.monotonic() < untilMs; ) {
      heard = this.#updates;
      await this.#settled(this.gone, replayedMs);
    }
  }

  /** Resolves when what it said of its session since its last turn was read: none of it belongs to the next. */
  heardOut(): Promise<void> {
    return this.#wire.readDry();
  }

  async setMode(modeId: string): Promise<void> {
    await this.#connection.agent.request(methods.agent.session.setMode, { sessionId: this.#session ?? '', modeId });
    this.#mode = modeId;
  }

  /**
   * One turn. Its end is an event of this method and not the answer to a call: a later protocol answers the prompt at
   * once and reports the end by itself.
   * @returns once all that the agent reported of it was taken
   * @throws RequestError of the agent, or why the connection broke, or what `turn.update` threw
   */
  async prompt(prompt: ContentBlock[], turn: TurnPort, trace: TraceHeaders | undefined): Promise<answers.TurnEnd> {
    this.#turn = turn;
    try {
      return understood('session/prompt', answers.turnEnd, await this.#connection.agent.request(methods.agent.session.prompt, { sessionId: this.#session ?? '', prompt, ...(trace === undefined ? {} : { _meta: { ...trace } }) }));
    } finally {
      this.#turn = undefined;
    }
  }

  /** Asks it to end its turn. */
  async cancel(): Promise<void> {
    if (this.#session === undefined || this.#turn === undefined) return;
    await this.#connection.agent.notify(methods.agent.session.cancel, { sessionId: this.#session });
  }

  /** TERM to its whole group, KILL after `graceMs`. @returns how many processes there were; a second call joins the first */
  async end(graceMs: number): Promise<number> {
    const count = await this.#group.end(graceMs);
    // What can't be ended is not waited for.
    await this.#settled(this.gone, lingerMs);
    return count;
  }

  #enter(modes: answers.Modes): void {
    this.#modes = modes;
    this.#mode = modes?.currentModeId;
  }

  async #watch(exited: Promise<void>, reading: Promise<void>): Promise<void> {
    await Promise.race([exited, reading]);
    await this.#settled(Promise.all([exited, reading]), lingerMs);
    this.#ownExit = this.#exit;
    await this.#group.end(leftoverGraceMs);
    this.#wire.close();
    await exited;
    this.#connection.close();
  }

  /** Resolves when `work` is done, or `ms` have passed. */
  async #settled(work: Promise<unknown>, ms: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<undefined>();
    const stopTimer = this.#parts.clock.setTimer(ms, () => resolve(undefined));
    void work.finally(() => resolve(undefined));
    await promise;
    stopTimer();
  }

  async #update(params: unknown): Promise<void> {
    const read = readBy(answers.notification, params);
    if (read?.success !== true || read.data.sessionId !== this.#session) return;
    this.#updates += 1;
    const { update } = read.data;
    const mode = readBy(answers.modeUpdate, update);
    if (mode?.success === true) this.#mode = mode.data.currentModeId;
    await this.#turn?.update(update);
  }
}

function understood<T extends z.ZodType>(method: string, schema: T, answer: unknown): z.infer<T> {
  const read = readBy<z.ZodSafeParseResult<z.infer<T>>>(schema, answer);
  if (read?.success === true) return read.data;
  const [first] = read?.error.issues ?? [];
  const where = first === undefined ? '' : `: ${[...first.path, first.message].join(' ')}`;
  throw new BrokerError('incompatible', `the agent’s answer to ${method} is not as the protocol has it${where}`, { hint: 'install another version of the agent' });
}


