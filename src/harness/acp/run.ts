/** One run of an agent of the protocol: it is started, or found still there, has its turn, and is kept or ended. */
import { RequestError } from '@agentclientprotocol/sdk';
import { BrokerError, notFound, toBrokerError, unavailable } from '../../domain/errors.ts';
import type { Run, RunEnd, RunRequest, RunSink } from '../../domain/harness-port.ts';
import { traceIn } from '../../domain/trace-context.ts';
import { prepareChild } from '../child.ts';
import { requireDirectory } from '../executable.ts';
import type { OutputPipeStock } from '../pipes.ts';
import { writeTaskFiles, type WrittenFiles } from '../task-files.ts';
import { AcpAgent, type AgentParts } from './agent.ts';
import type { Initialized } from './answers.ts';
import { agentCommand, environmentFor } from './command-line.ts';
import { deathOf, endOfTurn, isAuthRequired, isNotFound, refusalOf } from './failures.ts';
import type { Environment } from '../environment.ts';
import { modeFor } from './modes.ts';
import { signInFor, type Preset } from './presets.ts';
import { promptOf } from './prompt.ts';
import { Turn } from './turn.ts';
import type { WarmAgents } from './warm.ts';

/** From the spawn until the agent has its session, ms. Cold starts of 15 to 46 s were seen. */
export const startMs = 60_000;
/** How long a turn may take to end by itself once it is cancelled, before the process is, ms. */
const cancelMs = 1500;
/** Between TERM and KILL for an agent whose run is over, ms. */
const overGraceMs = 2000;

export interface RunParts extends AgentParts {
  readonly preset: Preset;
  readonly environment: Environment;
  readonly temporary: string;
  readonly pipes: OutputPipeStock;
  readonly warm: WarmAgents;
  readonly startMs?: number;
}

export class AcpRun implements Run {
  readonly ended: Promise<RunEnd>;
  readonly #request: RunRequest;
  readonly #sink: RunSink;
  readonly #parts: RunParts;
  /** Resolves once it is settled whether there will be a process. */
  readonly #launched = Promise.withResolvers<AcpAgent | undefined>();
  readonly #turnOver = Promise.withResolvers<undefined>();
  #stopping: Promise<number> | undefined;
  #isOver = false;
  /** Whether the agent's own part of the turn has begun. */
  #isPrompted = false;

  constructor(request: RunRequest, sink: RunSink, parts: RunParts) {
    this.#request = request;
    this.#sink = sink;
    this.#parts = parts;
    this.ended = this.#run()
      .catch((error: unknown): RunEnd => {
        const known = toBrokerError(error);
        if (known.code === 'internal') parts.log?.error({ flightId: request.flightId, err: error }, 'a run broke inside the harness');
        return { error: known.toInfo() };
      })
      .finally(() => {
        this.#isOver = true;
        this.#launched.resolve(undefined);
      });
  }

  stop(graceMs: number): Promise<number> {
    if (this.#isOver) return Promise.resolve(0);
    this.#stopping ??= this.#stop(graceMs);
    return this.#stopping;
  }

  async #stop(graceMs: number): Promise<number> {
    const agent = await this.#launched.promise;
    if (agent === undefined) return 0;
    if (this.#isPrompted && graceMs > 0) {
      agent.cancel().catch((error: unknown) => this.#parts.log?.debug({ flightId: this.#request.flightId, err: error }, 'an agent was gone before its turn could be cancelled'));
      const { promise, resolve } = Promise.withResolvers<undefined>();
      const stopTimer = this.#parts.clock.setTimer(Math.min(cancelMs, graceMs), () => resolve(undefined));
      await Promise.race([promise, this.#turnOver.promise]);
      stopTimer();
    }
    return agent.end(graceMs);
  }

  async #run(): Promise<RunEnd> {
    const { task, flightId } = this.#request;
    const { temporary, log } = this.#parts;
    let files: WrittenFiles | undefined;
    try {
      if (task.files.length > 0) files = await writeTaskFiles(temporary, task.files);
      return await this.#fly(files);
    } finally {
      await files?.remove().catch((error: unknown) => log?.warn({ err: error, flightId, directory: files?.directory }, 'the files of a task could not be removed'));
    }
  }

  async #fly(files: WrittenFiles | undefined): Promise<RunEnd> {
    const { endpoint, session, task, flightEnv } = this.#request;
    const { preset, warm, clock } = this.#parts;
    // What is wrong with the task shows before anything is started.
    promptOf(task, files?.directory, false);
    const turn = new Turn({ endpoint, sink: this.#sink, clock });
    const likeness = likenessOf(this.#request);
    const kept = session === undefined ? undefined : await warm.take(session.id, likeness);
    const isFit = kept !== undefined && kept.session === session?.agentSession;
    if (kept !== undefined && !isFit) await kept.end(overGraceMs);
    const agent = isFit ? kept : await this.#spawn();
    this.#launched.resolve(agent);
    try {
      await this.#within(this.#parts.startMs ?? startMs, agent, this.#ready(agent, isFit));
      if (this.#stopping !== undefined) throw stopped();
      this.#isPrompted = true;
      const end = await agent.prompt(promptOf(task, files?.directory, agent.can?.promptCapabilities?.embeddedContext ?? false), turn, traceIn(flightEnv));
      await turn.finish(end);
      this.#turnOver.resolve(undefined);
      const outcome = endOfTurn(preset, end.stopReason);
      if (this.#stopping !== undefined) throw stopped();
      if (session !== undefined && outcome.error === undefined) {
        this.#isOver = true;
        warm.keep(session.id, likeness, agent);
        return { ...outcome, isKept: true };
      }
      await agent.end(overGraceMs);
      return outcome;
    } catch (error) {
      this.#turnOver.resolve(undefined);
      return await this.#failed(error, agent, turn);
    }
  }

  async #spawn(): Promise<AcpAgent> {
    const { endpoint, flightEnv, flightId } = this.#request;
    const { preset, environment, temporary, pipes } = this.#parts;
    const env = environmentFor(preset, environment, endpoint, flightEnv);
    await requireDirectory(endpoint.cwd);
    const command = await agentCommand(preset, endpoint);
    const prepared = await prepareChild({ ...command, cwd: endpoint.cwd, env, stdin: 'pipe' }, temporary, pipes);
    // From here to the spawn no turn passes, so that a stop either prevents it or finds the process.
    if (this.#stopping !== undefined) {
      prepared.discard();
      throw stopped();
    }
    const agent = new AcpAgent(await prepared.spawn(), flightId, this.#parts);
    if (agent.mark !== undefined) this.#sink.spawned?.(agent.mark);
    return agent;
  }

  /** The agent has its session, in the mode that the permissions want, and its name for it is stored. */
  async #ready(agent: AcpAgent, isWarm: boolean): Promise<void> {
    const { session } = this.#request;
    if (isWarm) await agent.heardOut();
    else await this.#openSession(agent, await agent.initialize());
    await this.#setMode(agent);
    if (agent.session !== undefined && session !== undefined && agent.session !== session.agentSession) await this.#sink.bindSession(agent.session);
  }

  async #openSession(agent: AcpAgent, { authMethods = [] }: Initialized): Promise<void> {
    const { endpoint, session, flightEnv } = this.#request;
    const { preset, environment } = this.#parts;
    try {
      await this.#newOrOld(agent, session?.agentSession);
    } catch (error) {
      if (!isAuthRequired(error)) throw error;
      const offered = authMethods.map(({ id, vars }) => ({ id, variables: vars?.map((each) => each.name) }));
      const method = signInFor(preset, offered, environmentFor(preset, environment, endpoint, flightEnv));
      if (method === undefined) throw error;
      await agent.authenticate(method);
      await this.#newOrOld(agent, session?.agentSession);
    }
  }

  /** Never a new session where an old one was meant. */
  async #newOrOld(agent: AcpAgent, old: string | undefined): Promise<void> {
    const { title } = this.#parts.preset;
    const { cwd } = this.#request.endpoint;
    const { can } = agent;
    if (old === undefined) return await agent.begin(cwd);
    const how = can?.sessionCapabilities?.resume !== undefined ? 'resume' : can?.loadSession === true ? 'load' : undefined;
    if (how === undefined) throw unavailable(`${title} can’t go on with an earlier session once its process has ended`, 'begin a new one: leave out --continue and --session');
    try {
      await agent.goOn(how, old, cwd);
    } catch (error) {
      if (!isNotFound(error)) throw error;
      throw notFound(`${title} does not know its session ${old} any more`, 'begin a new one: leave out --continue and --session');
    }
  }

  async #setMode(agent: AcpAgent): Promise<void> {
    const { permissions } = this.#request.endpoint;
    const { preset, log } = this.#parts;
    const mode = modeFor(preset, permissions, agent.modes);
    if (mode === undefined || mode === agent.mode) return;
    try {
      await agent.setMode(mode);
    } catch (error) {
      if (!(error instanceof RequestError)) throw error;
      if (permissions !== 'full') throw refusalOf(preset, error);
      // It goes on asking, and is told yes each time.
      log?.info({ flightId: this.#request.flightId, mode, err: error }, 'an agent would not go into a mode of its own');
    }
  }

  async #within(ms: number, agent: AcpAgent, work: Promise<void>): Promise<void> {
    const { promise, reject } = Promise.withResolvers<never>();
    const { title } = this.#parts.preset;
    const stopTimer = this.#parts.clock.setTimer(ms, () => {
      const said = agent.lastWords.line === '' ? 'it said nothing' : `its last words: ${agent.lastWords.line}`;
      reject(unavailable(`${title} did not come up within ${ms / 1000} s; ${said}`, 'run its command by hand in its directory to see what it waits for'));
    });
    try {
      await Promise.race([work, promise]);
    } finally {
      stopTimer();
    }
  }

  async #failed(error: unknown, agent: AcpAgent, turn: Turn): Promise<RunEnd> {
    const { preset, log } = this.#parts;
    const doing = this.#isPrompted ? 'in the middle of its turn' : 'before it was ready';
    const isAnswer = error instanceof RequestError;
    // One that broke off is given the time to say how it ended.
    const isBroken = !isAnswer && !(error instanceof BrokerError) && turn.failure === undefined;
    if (this.#stopping !== undefined) await this.#stopping;
    else if (isBroken) await agent.gone;
    else await agent.end(overGraceMs);
    await turn.finish(undefined);
    if (this.#stopping !== undefined) throw stopped();
    await this.#sink.output('stderr', agent.lastWords.bytes);
    if (isBroken) log?.debug({ flightId: this.#request.flightId, err: error }, 'the connection with an agent broke');
    const known = isBroken ? deathOf(preset, doing, agent.ownExit, agent.lastWords) : isAnswer ? refusalOf(preset, error) : toBrokerError(error);
    // What it did not finish is its own failure; that it can't be had at all, its node's.
    const isItsOwn = this.#isPrompted && !isAuthRequired(error);
    // An exit that looks clean is none in the middle of a turn.
    const exit = isBroken && agent.ownExit !== undefined && agent.ownExit.exitCode !== 0 ? agent.ownExit : { exitCode: 1 };
    return { ...(isItsOwn ? exit : {}), error: known.toInfo() };
  }
}

function stopped(): BrokerError {
  return new BrokerError('cancelled', 'the agent was stopped');
}

/** What a process is made of: all of it is fixed when it starts. */
function likenessOf({ endpoint }: RunRequest): string {
  const { harness, cwd, argv, env, path, permissions } = endpoint;
  return JSON.stringify([harness, cwd, argv, env, path, permissions]);
}
