/** What every harness promises, whichever way it drives its agent. Each has a test file that calls this with agents of its own. */
import { afterAll, describe, expect, test } from 'vitest';
import { maxOutputChunk } from '../../src/domain/flight-event.ts';
import type { Harness, ProcessMark, Run, RunRequest, RunSink, TurnSession } from '../../src/domain/harness-port.ts';
import { flightIdOf, invocationIdOf, sessionOfInvocation } from '../../src/domain/ids.ts';
import type { SessionId } from '../../src/domain/ids.ts';
import type { Endpoint, TaskFile } from '../../src/domain/invocation.ts';
import type { Progress } from '../../src/domain/progress.ts';
import type { Answer, Ask } from '../../src/domain/request.ts';
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
  /** For a harness whose agents are its processes. Answers its own process id and those of three processes that it started, on one line; none of them ends by itself. */
  readonly family?: Endpoint;
  /** Answers with the value of BECKON_FLIGHT_ID in its environment. */
  readonly flightId: Endpoint;
  /** Can't be started: its program does not exist. */
  readonly missing: Endpoint;
  /** For a harness whose agents ask. It asks once for approval, with choices, then answers with `yes` or `no`, as it was told. */
  readonly asks?: Endpoint;
  /** For a harness that keeps sessions. Answers with how many turns its session has had, this one included; its agent can go on with a session after a restart. */
  readonly counts?: Endpoint;
  /** For a harness whose agents tell what they do. Answers `done`, after it has told of a thought, a plan and the use of a tool. */
  readonly busy?: Endpoint;
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
  /** The processes that it was told of. */
  readonly marks: ProcessMark[] = [];
  readonly asked: Ask[] = [];
  /** What people say to each request. */
  answer: (ask: Ask) => Promise<Answer> = deafSink.ask;
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

  ask(ask: Ask): Promise<Answer> {
    this.asked.push(ask);
    return this.answer(ask);
  }

  spawned(mark: ProcessMark): void {
    this.marks.push(mark);
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

let sessions = 0;
/** A session that nobody has had. */
export function freshSession(): SessionId {
  sessions += 1;
  return sessionOfInvocation(invocationIdOf(`${ulid.slice(0, -4)}${String(sessions).padStart(4, '0')}`));
}

export function requestOf(endpoint: Endpoint, options: RequestOptions = {}): RunRequest {
  const own = freshSession();
  const { task = '', files = [], session = { id: own }, flightEnv = {} } = options;
  const flight = own.slice('ses_'.length);
  return {
    invocationId: invocationIdOf(flight),
    flightId: flightIdOf(flight),
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
  /** A process that serves by itself is not ended with its run. */
  const endsProcesses = agents.family !== undefined;

  describe(`the harness ${name}`, () => {
    afterAll(() => harness.close?.());

    test('is named as endpoints name it', () => {
      expect(agents.echo.harness).toBe(name);
      expect(harness.name).toBe(name);
    });

    test('answers with what the agent answered, and its end is a clean one', async () => {
      const { run, sink } = begin(agents.echo, { task: 'héllo\nworld' });
      expect(await run.ended).toMatchObject({ exitCode: 0 });
      expect(sink.text()).toBe('héllo\nworld');
    });

    test('hands output over while the agent still works', async () => {
      const { run, sink } = begin(agents.lineThenIdle, { task: 'at once' });
      await waitFor('the first line', () => sink.text().includes('at once'));
      expect((await run.stop(5000)) > 0).toBe(endsProcesses);
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

    test('stop in the moment of the start leaves nothing running', async () => {
      const { run, sink } = begin(agents.lineThenIdle);
      await run.stop(5000);
      expect(await run.ended).not.toMatchObject({ exitCode: 0 });
      expect(sink.marks.filter((mark) => isRunning(mark.pid))).toEqual([]);
    });

    test('an agent that was stopped is not there any more when its run has ended', async () => {
      const { run, sink } = begin(agents.lineThenIdle, { task: 'here' });
      await waitFor('the first line', () => sink.text().includes('here'));
      expect(sink.marks.length).toBeLessThanOrEqual(1);
      void run.stop(5000);
      const end = await run.ended;
      expect(end.isKept ?? false).toBe(false);
      expect(sink.marks.filter((mark) => isRunning(mark.pid))).toEqual([]);
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

    test('says whether it keeps sessions, and its suite has agents for what it says', () => {
      expect(agents.counts !== undefined).toBe(harness.keepsSessions);
    });

    if (agents.family !== undefined) owning(agents.family);
    if (agents.asks !== undefined) asking(agents.asks);
    if (agents.counts !== undefined) keeping(agents.counts);
    if (agents.busy !== undefined) telling(agents.busy);
  });

  function owning(agent: Endpoint): void {
    test('stop ends the agent with all that it started and says how many there were; again is the same, later is 0', async () => {
      const { run, sink } = begin(agent);
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
  }

  function asking(agent: Endpoint): void {
    test.each([
      ['approved', { kind: 'approved', by: 'ada' }, 'yes'],
      ['denied', { kind: 'denied', by: 'ada' }, 'no'],
      ['not answered in time', { kind: 'timeout' }, 'no'],
    ] as const)('a request that is %s is told to the agent so', async (_how, answer, said) => {
      const sink = new Collected();
      sink.answer = () => Promise.resolve(answer);
      const { run } = begin(agent, {}, sink);
      expect(await run.ended).toMatchObject({ exitCode: 0 });
      expect(sink.text().trim()).toBe(said);
      expect(sink.asked).toEqual([{ reason: 'approval', prompt: expect.stringMatching(/\S/), choices: expect.arrayContaining([expect.any(String)]) }]);
    });

    test('an agent that waits for an answer can be stopped', async () => {
      const asked = Promise.withResolvers<undefined>();
      const answer = Promise.withResolvers<Answer>();
      const sink = new Collected();
      sink.answer = () => {
        asked.resolve(undefined);
        return answer.promise;
      };
      const { run } = begin(agent, {}, sink);
      await asked.promise;
      const stopping = run.stop(5000);
      answer.resolve({ kind: 'ended' });
      expect((await stopping) > 0).toBe(endsProcesses);
      expect(await run.ended).not.toMatchObject({ exitCode: 0 });
    });
  }

  function keeping(agent: Endpoint): void {
    const turn = async (session: TurnSession): Promise<Collected> => {
      const { run, sink } = begin(agent, { session });
      expect(await run.ended).toMatchObject({ exitCode: 0 });
      return sink;
    };

    test('a session has a name of the agent’s own, told before its first turn has ended', async () => {
      const { run, sink } = begin(agent);
      await run.ended;
      expect(sink.agentSession).toMatch(/\S/);
    });

    test('a later turn goes on with the session, whether its agent is still there or not', async () => {
      const id = freshSession();
      const first = await turn({ id });
      const agentSession = first.agentSession ?? '';
      expect(first.text().trim()).toBe('1');
      expect((await turn({ id, agentSession })).text().trim()).toBe('2');
      await harness.close?.();
      expect((await turn({ id, agentSession })).text().trim()).toBe('3');
    });

    test('sessions side by side know nothing of each other', async () => {
      const [one, two] = [freshSession(), freshSession()];
      const [first, other] = await Promise.all([turn({ id: one }), turn({ id: two })]);
      expect(first.agentSession).not.toBe(other.agentSession);
      expect((await turn({ id: two, agentSession: other.agentSession ?? '' })).text().trim()).toBe('2');
      expect((await turn({ id: one, agentSession: first.agentSession ?? '' })).text().trim()).toBe('2');
    });

    test('a session that its agent does not know is an error, never a new one', async () => {
      const { run, sink } = begin(agent, { session: { id: freshSession(), agentSession: 'nobody-has-this' } });
      expect(await run.ended).toMatchObject({ error: { code: 'not_found', hint: expect.stringMatching(/\S/) } });
      expect(sink.text()).toBe('');
    });

    test('close ends what is kept', async () => {
      const { run, sink } = begin(agent);
      await run.ended;
      await harness.close?.();
      expect(sink.marks.filter((mark) => isRunning(mark.pid))).toEqual([]);
    });
  }

  function telling(agent: Endpoint): void {
    test('what it tells of its work is no part of its answer', async () => {
      const { run, sink } = begin(agent);
      expect(await run.ended).toMatchObject({ exitCode: 0 });
      expect(sink.text().trim()).toBe('done');
      expect(new Set(sink.reports.map((report) => report.kind))).toEqual(new Set(['thought', 'plan', 'tool', 'usage']));
      expect(sink.reports.findLast((report) => report.kind === 'tool')).toMatchObject({ state: 'done' });
    });
  }
}
