/**
 * The harness `command`: any program, its task on stdin or as one argument, its stdout the answer.
 *
 * A run is over when the agent has exited and its stdout and stderr are closed. Processes that it left behind end with
 * it: at once when they hold neither stream, otherwise 2 s after the agent's exit. One that made a session of its own
 * and outlives its parent (a daemon) stays, and what it still prints is nobody's any more.
 */
import { BrokerError, toBrokerError } from '../domain/errors.ts';
import type { Availability, Harness, Run, RunEnd, RunRequest, RunSink } from '../domain/harness-port.ts';
import type { Endpoint } from '../domain/invocation.ts';
import type { Clock, Log } from '../domain/ports.ts';
import { prepareChild, type Child } from './child.ts';
import { commandLine } from './command-line.ts';
import { agentEnvironment, type Environment } from './environment.ts';
import { findExecutable, requireDirectory } from './executable.ts';
import { OutputPump } from './output-pump.ts';
import { OutputPipeStock } from './pipes.ts';
import { ProcessGroup } from './process-group.ts';
import type { ReadProcesses } from './process-table.ts';
import { writeTaskFiles, type WrittenFiles } from './task-files.ts';

/** How long leftovers may go on printing after the agent's exit, ms. */
const lingerMs = 2000;
/** Between TERM and KILL for leftovers, ms. */
const leftoverGraceMs = 2000;

export interface CommandPorts {
  readonly clock: Clock;
  /** The node's own environment; only what `agentEnvironment` picks reaches an agent. TMPDIR says where task files go. */
  readonly environment: Environment;
  readonly readProcesses: ReadProcesses;
  readonly log?: Log;
}

export class CommandHarness implements Harness {
  readonly name = 'command';
  readonly keepsSessions = false;
  readonly #ports: CommandPorts;
  readonly #temporary: string;
  readonly #pipes: OutputPipeStock;

  constructor(ports: CommandPorts) {
    this.#ports = ports;
    this.#temporary = ports.environment['TMPDIR'] || '/tmp';
    this.#pipes = new OutputPipeStock(this.#temporary);
  }

  async check(endpoint: Endpoint): Promise<Availability> {
    try {
      await requireDirectory(endpoint.cwd);
      const { command } = commandLine(endpoint, { text: new Uint8Array(), files: [] });
      await findExecutable(command, endpoint.path, endpoint.cwd);
      return { available: true };
    } catch (error) {
      return { available: false, why: toBrokerError(error).message };
    }
  }

  start(request: RunRequest, sink: RunSink): Run {
    return new CommandRun(request, sink, this.#ports, this.#temporary, this.#pipes);
  }
}

class CommandRun implements Run {
  readonly ended: Promise<RunEnd>;
  readonly #sink: RunSink;
  readonly #ports: CommandPorts;
  /** Resolves once it is settled whether there will be a process. */
  readonly #launched = Promise.withResolvers<ProcessGroup | undefined>();
  #isStopping = false;
  #isOver = false;

  constructor(request: RunRequest, sink: RunSink, ports: CommandPorts, temporary: string, pipes: OutputPipeStock) {
    this.#sink = sink;
    this.#ports = ports;
    this.ended = this.#run(request, temporary, pipes)
      .catch((error: unknown): RunEnd => {
        const known = toBrokerError(error);
        if (known.code === 'internal') ports.log?.error({ flightId: request.flightId, err: error }, 'a run broke inside the harness');
        return { error: known.toInfo() };
      })
      .finally(() => {
        this.#isOver = true;
        this.#launched.resolve(undefined);
      });
  }

  async stop(graceMs: number): Promise<number> {
    this.#isStopping = true;
    const group = await this.#launched.promise;
    if (group === undefined || this.#isOver) return 0;
    return group.end(graceMs);
  }

  async #run(request: RunRequest, temporary: string, pipes: OutputPipeStock): Promise<RunEnd> {
    const { endpoint, task } = request;
    const { command, args, hasTask } = commandLine(endpoint, task);
    const env = agentEnvironment(this.#ports.environment, endpoint, request.flightEnv);
    await requireDirectory(endpoint.cwd);
    const file = await findExecutable(command, endpoint.path, endpoint.cwd);
    let files: WrittenFiles | undefined;
    try {
      if (task.files.length > 0) {
        files = await writeTaskFiles(temporary, task.files);
        env['BECKON_FILES'] = files.directory;
      }
      const plan = { file, argv0: command, args, cwd: endpoint.cwd, env, stdin: hasTask ? new Uint8Array() : task.text };
      const prepared = await prepareChild(plan, temporary, pipes);
      // From here to the spawn no turn passes, so that a stop either prevents it or finds the process.
      if (this.#isStopping) {
        prepared.discard();
        throw new BrokerError('cancelled', 'stopped before the agent was started');
      }
      return await this.#follow(await prepared.spawn());
    } finally {
      await this.#remove(files);
    }
  }

  async #follow(child: Child): Promise<RunEnd> {
    const { clock, readProcesses } = this.#ports;
    const group = new ProcessGroup(child.pid, { clock, readProcesses, kill: (pid, signal) => void process.kill(pid, signal) });
    const exited = child.exited.then((how) => {
      group.leaderReaped();
      return how;
    });
    this.#launched.resolve(group);
    if (child.mark !== undefined) this.#sink.spawned?.(child.mark);
    const pumps = [new OutputPump(child.stdout, 'stdout', this.#sink, clock), new OutputPump(child.stderr, 'stderr', this.#sink, clock)];
    const printed = Promise.all(pumps.map((pump) => pump.run()));
    // Whoever takes the output can't: nothing this agent does reaches anybody.
    printed.catch(() => group.end(leftoverGraceMs)).catch((error: unknown) => this.#ports.log?.error({ err: error }, 'an agent could not be ended'));

    const how = await exited;
    await this.#settled(printed, lingerMs);
    await group.end(leftoverGraceMs);
    for (const pump of pumps) pump.finishSoon();
    await printed;
    return how;
  }

  /** Resolves when `work` is done, well or not, or `ms` have passed. */
  async #settled(work: Promise<unknown>, ms: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<undefined>();
    const cancel = this.#ports.clock.setTimer(ms, () => resolve(undefined));
    const done = (): void => resolve(undefined);
    work.then(done, done);
    await promise;
    cancel();
  }

  async #remove(files: WrittenFiles | undefined): Promise<void> {
    try {
      await files?.remove();
    } catch (error) {
      // The run is what it was all the same.
      this.#ports.log?.warn({ err: error, directory: files?.directory }, 'the files of a task could not be removed');
    }
  }
}
