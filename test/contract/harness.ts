/** What every harness promises, whichever way it drives its agent. Each has a test file that calls this with agents of its own. */
import { describe, expect, test } from 'vitest';
import { maxOutputChunk } from '../../src/domain/flight-event.ts';
import type { Harness, Run, RunRequest, RunSink, TurnSession } from '../../src/domain/harness-port.ts';
import { flightIdOf, invocationIdOf, sessionOfInvocation } from '../../src/domain/ids.ts';
import type { Endpoint, TaskFile } from '../../src/domain/invocation.ts';
import type { Progress } from '../../src/domain/progress.ts';
import { isUtf8 } from '../../src/domain/text.ts';
import { isRunning } from '../support/processes.ts';
import { waitFor } from '../support/wait-for.ts';

/** Agents that a harness must be able to show. Each takes its task and behaves as said. */
export interface ContractAgents {
  /** Answers with its task, unchanged. */
  readonly echo: Endpoint;
  /** Answers its task as a line, then does nothing for ever; ends on TERM. */
  readonly lineThenIdle: Endpoint;
  /** Answers with 3 MB of UTF-8, most of its characters longer than a byte. */
  readonly large: Endpoint;
  /** Answers its own process id and those of three processes that it started, on one line; none of them ends by itself. */
  readonly family: Endpoint;
  /** Answers with the value of BECKON_FLIGHT_ID in its environment. */
  readonly flightId: Endpoint;
  /** Can't be started: its program does not exist. */
  readonly missing: Endpoint;
}

/** All of a sink but its output. */
export const deafSink = {
  ask: () => Promise.resolve({ kind: 'timeout' }),
  progress: () => Promise.resolve(),
  bindSession: () => Promise.resolve(),
} satisfies Omit<RunSink, 'output'>;

/** A sink that keeps what it gets. */
export class Collected implements RunSink {
  readonly pieces: { readonly stream: string; readonly bytes: Uint8Array }[] = [];
  readonly reports: Progress[] = [];
  /** As the agent called its session, the last time it said so. */
  agentSession: string | undefined;
  readonly ask = deafSink.ask;
  readonly #room: () => Promise<void>;

  constructor(room: () => Promise<void> = async () => undefined) {
    this.#room = room;
  }

  async output(stream: string, bytes: Uint8Array): Promise<void> {
    await this.#room();
    this.pieces.push({ stream, bytes: Uint8Array.from(bytes) });
  }

  progress(progress: Progress): Promise<void> {
    this.reports.push(progress);
    return Promise.resolve();
  }

  bindSession(agentSession: string): Promise<void> {
    this.agentSession = agentSession;
    return Promise.resolve();
  }

  bytes(stream: string): Buffer {
    return Buffer.concat(this.pieces.filter((piece) => piece.stream === stream).map((piece) => piece.bytes));
  }

  text(stream = 'stdout'): string {
    return this.bytes(stream).toString();
  }
}

const ulid = '01J9Z6M3T4V8Q2X7K5B1C0D9EF';

export interface RequestOptions {
  readonly task?: string | Uint8Array;
  readonly files?: readonly TaskFile[];
  /** Of an earlier turn; a session of its own when left out. */
  readonly session?: TurnSession;
  readonly flightEnv?: Readonly<Record<string, string>>;
}

export function requestOf(endpoint: Endpoint, options: RequestOptions = {}): RunRequest {
  const { task = '', files = [], session = { id: sessionOfInvocation(invocationIdOf(ulid)) }, flightEnv = {} } = options;
  return {
    invocationId: invocationIdOf(ulid),
    flightId: flightIdOf(ulid),
    run: 1,
    endpoint,
    task: { text: typeof task === 'string' ? Buffer.from(task) : task, files },
    session,
    flightEnv,
  };
}

export function harnessContract(name: string, harness: Harness, agents: ContractAgents): void {
  const begin = (endpoint: Endpoint, options: RequestOptions = {}, sink = new Collected()): { run: Run; sink: Collected } => ({
    run: harness.start(requestOf(endpoint, options), sink),
    sink,
  });

  describe(`the harness ${name}`, () => {
    test('is named as endpoints name it', () => {
      expect(agents.echo.harness).toBe(name);
      expect(harness.name).toBe(name);
    });

    test('answers with what the agent answered, and its end is a clean one', async () => {
      const { run, sink } = begin(agents.echo, { task: 'héllo\nworld' });
      expect(await run.ended).toEqual({ exitCode: 0 });
      expect(sink.text()).toBe('héllo\nworld');
    });

    test('hands output over while the agent still works', async () => {
      const { run, sink } = begin(agents.lineThenIdle, { task: 'at once' });
      await waitFor('the first line', () => sink.text().includes('at once'));
      expect(await run.stop(5000)).toBeGreaterThan(0);
      await run.ended;
    });

    test('large output arrives whole, in bounded pieces that cut no character, before the end is told', async () => {
      const { run, sink } = begin(agents.large);
      await run.ended;
      expect(sink.bytes('stdout').length).toBeGreaterThanOrEqual(3_000_000);
      expect(isUtf8(sink.bytes('stdout'))).toBe(true);
      for (const { bytes } of sink.pieces) {
        expect(bytes.length).toBeLessThanOrEqual(maxOutputChunk);
        expect(isUtf8(bytes)).toBe(true);
      }
    });

    test('the end waits for a sink that is slow', async () => {
      const gate = Promise.withResolvers<undefined>();
      const { run, sink } = begin(agents.echo, { task: 'x' }, new Collected(() => gate.promise));
      let isOver = false;
      void run.ended.then(() => {
        isOver = true;
      });
      await run.stop(5000);
      expect(isOver).toBe(false);
      gate.resolve(undefined);
      await run.ended;
      expect(['', 'x']).toContain(sink.text());
    });

    test('stop ends the agent with all that it started and says how many there were; again is the same, later is 0', async () => {
      const { run, sink } = begin(agents.family);
      const line = await waitFor('the process ids', () => /^(\d+ \d+ \d+ \d+)\n/.exec(sink.text())?.[1]);
      const pids = line.split(' ').map(Number);
      expect(pids.filter(isRunning)).toEqual(pids);
      const [first, second] = await Promise.all([run.stop(5000), run.stop(0)]);
      expect(first).toBeGreaterThanOrEqual(4);
      expect(second).toBe(first);
      expect(pids.filter(isRunning)).toEqual([]);
      await run.ended;
      expect(await run.stop(5000)).toBe(0);
    });

    test('stop in the moment of the start leaves nothing running', async () => {
      const { run } = begin(agents.lineThenIdle);
      await run.stop(5000);
      expect(await run.ended).not.toMatchObject({ exitCode: 0 });
    });

    test('a sink that fails ends the agent and the run, without a rejection', async () => {
      const run = harness.start(requestOf(agents.lineThenIdle, { task: 'x' }), { ...deafSink, output: () => Promise.reject(new Error('disk full')) });
      expect(await run.ended).toMatchObject({ error: { code: 'internal' } });
      expect(await run.stop(0)).toBe(0);
    });

    test('runs at the same time know nothing of each other', async () => {
      const runs = ['flt_a', 'flt_b', 'flt_c'].map((id) => ({ id, ...begin(agents.flightId, { flightEnv: { BECKON_FLIGHT_ID: id } }) }));
      await Promise.all(runs.map(({ run }) => run.ended));
      for (const { id, sink } of runs) expect(sink.text().trim()).toBe(id);
    });

    test('an agent that can run is available; one that can’t is not, and says why', async () => {
      expect(await harness.check(agents.echo)).toEqual({ available: true });
      expect(await harness.check(agents.missing)).toEqual({ available: false, why: expect.stringMatching(/\S/) });
    });

    test('an agent that can’t be started ends its run with what to do about it', async () => {
      const { run } = begin(agents.missing);
      expect(await run.ended).toEqual({ error: expect.objectContaining({ code: 'unavailable', message: expect.stringMatching(/\S/), hint: expect.stringMatching(/\S/) }) });
      expect(await run.stop(5000)).toBe(0);
    });
  });
}
