import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { Chronicler } from '../../../src/broker/chronicler.ts';
import { RunRequests } from '../../../src/broker/requests.ts';
import { unavailable } from '../../../src/domain/errors.ts';
import { flightIdOf } from '../../../src/domain/ids.ts';
import type { Ulid } from '../../../src/domain/ids.ts';
import type { Flight } from '../../../src/domain/records.ts';
import type { Answer, Ask } from '../../../src/domain/request.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { silentLog } from '../../support/temp-store.ts';

const flightId = flightIdOf('01J9Z6M3T4V8Q2X7K5B1C0D9EF');
const flight = { id: flightId } as Flight;
const event = { seq: 1, atMs: 0, hlc: '' as never, body: { kind: 'resumed' } } as const;
const question = (prompt: string, timeoutMs?: number): Ask => ({ reason: 'input', prompt, choices: [], ...(timeoutMs === undefined ? {} : { timeoutMs }) });

function setUp() {
  const clock = new FakeClock();
  const log: string[] = [];
  const state = { askFails: false, timeOutFails: false, takenFirst: false, isRunning: true };
  let count = 0;
  const requests = new RunRequests(flightId, {
    write: {
      ask: async ({ ask }) => {
        if (state.askFails) throw unavailable('full');
        log.push(`stored ${ask.prompt}`);
        return state.isRunning ? { flight, event } : undefined;
      },
      timeOutRequest: async ({ request }) => {
        if (state.timeOutFails) throw unavailable('full');
        log.push(`timeout ${request.slice(-1)}`);
        return state.takenFirst ? undefined : { flight, event };
      },
    },
    chronicler: new Chronicler(clock, undefined),
    clock,
    ulids: { next: () => `01J9Z6M3T4V8Q2X7K5B1C0D9E${(count += 1)}` as Ulid },
    log: silentLog,
    flush: async () => void log.push('flushed'),
    onChanged: () => void log.push('told'),
    onWaiting: (isWaiting) => void log.push(isWaiting ? 'waits' : 'goes on'),
  });
  const settle = async (): Promise<void> => {
    for (let turn = 0; turn < 5; turn += 1) await nextTurn();
  };
  return { clock, log, state, requests, settle };
}

const first = 'req_01J9Z6M3T4V8Q2X7K5B1C0D9E1';

describe('what a run asks', () => {
  test('is stored after its output and before anyone is told', async () => {
    const { log, requests, settle } = setUp();
    const answer = requests.ask(question('a'));
    await settle();
    expect(log).toEqual(['flushed', 'stored a', 'waits', 'told']);
    requests.answered(first, { kind: 'text', text: 'yes', by: 'me' });
    expect(await answer).toEqual({ kind: 'text', text: 'yes', by: 'me' });
    expect(log.at(-1)).toBe('goes on');
  });

  test('stands in line: the second is put when the first is answered, and an answer to another one is nobody’s', async () => {
    const { log, requests, settle } = setUp();
    const answers: Answer[] = [];
    for (const prompt of ['a', 'b']) void requests.ask(question(prompt)).then((answer) => answers.push(answer));
    await settle();
    expect(log.filter((line) => line.startsWith('stored'))).toEqual(['stored a']);
    requests.answered('req_other', { kind: 'approved', by: 'me' });
    await settle();
    expect(answers).toEqual([]);
    requests.answered(first, { kind: 'denied', by: 'me' });
    await settle();
    expect(log.filter((line) => line.startsWith('stored'))).toEqual(['stored a', 'stored b']);
    expect(answers).toEqual([{ kind: 'denied', by: 'me' }]);
    requests.close();
    await settle();
  });

  test('is over after 10 minutes, or after its own time, counted from when it was put', async () => {
    const { clock, requests, settle } = setUp();
    const answers: Answer[] = [];
    for (const ask of [question('a'), question('b', 1000)]) void requests.ask(ask).then((answer) => answers.push(answer));
    await settle();
    await clock.advance(599_999);
    await settle();
    expect(answers).toEqual([]);
    await clock.advance(1);
    await settle();
    expect(answers).toEqual([{ kind: 'timeout' }]);
    await clock.advance(1000);
    await settle();
    expect(answers).toHaveLength(2);
    expect(clock.pending).toBe(0);
  });

  test('is not over while a reply is taken that came first, nor before its end is stored', async () => {
    const { clock, requests, settle, state } = setUp();
    const answers: Answer[] = [];
    void requests.ask(question('a', 1000)).then((answer) => answers.push(answer));
    await settle();
    state.timeOutFails = true;
    await clock.advance(1000);
    await settle();
    expect(answers).toEqual([]);
    Object.assign(state, { timeOutFails: false, takenFirst: true });
    await clock.advance(2000);
    await settle();
    expect(answers).toEqual([]);
    requests.answered(first, { kind: 'approved', by: 'me' });
    await settle();
    expect(answers).toEqual([{ kind: 'approved', by: 'me' }]);
  });

  test('ends with the run, open or in line, and nothing is put afterwards', async () => {
    const { clock, log, requests, settle } = setUp();
    const answers = Promise.all([requests.ask(question('a')), requests.ask(question('b'))]);
    await settle();
    requests.close();
    expect(await answers).toEqual([{ kind: 'ended' }, { kind: 'ended' }]);
    expect(await requests.ask(question('c'))).toEqual({ kind: 'ended' });
    expect(log.filter((line) => line.startsWith('stored'))).toEqual(['stored a']);
    expect(clock.pending).toBe(0);
  });

  test('counts as denied when it can not be stored, and as ended when the flight does not run', async () => {
    const { requests, state } = setUp();
    state.askFails = true;
    expect(await requests.ask(question('a'))).toEqual({ kind: 'timeout' });
    Object.assign(state, { askFails: false, isRunning: false });
    expect(await requests.ask(question('b'))).toEqual({ kind: 'ended' });
  });
});

describe('a request that outlived its node', () => {
  const left = (setUp: { clock: FakeClock }, ms = 60_000) => ({ reason: 'approval', request: 'req_left', prompt: 'may I?', choices: ['once'], sinceMs: 0, untilMs: setUp.clock.now() + ms }) as const;
  const same: Ask = { reason: 'approval', prompt: 'may I?', choices: ['once'] };

  test('is claimed by the same question, and not put again', async () => {
    const made = setUp();
    made.requests.restore(left(made));
    const answer = made.requests.ask(same);
    made.requests.answered('req_left', { kind: 'approved', by: 'me' });
    expect(await answer).toEqual({ kind: 'approved', by: 'me' });
    expect(made.log).toEqual(['waits', 'goes on']);
    expect(made.clock.pending).toBe(0);
  });

  test('keeps an answer that comes before it is claimed', async () => {
    const made = setUp();
    made.requests.restore(left(made));
    made.requests.answered('req_left', { kind: 'denied', by: 'me' });
    await made.settle();
    expect(await made.requests.ask(same)).toEqual({ kind: 'denied', by: 'me' });
  });

  test('is never the answer to another question: that one stands behind it', async () => {
    const made = setUp();
    made.requests.restore(left(made));
    const answers: Answer[] = [];
    void made.requests.ask({ ...same, prompt: 'may I delete it?' }).then((answer) => answers.push(answer));
    made.requests.answered('req_left', { kind: 'approved', by: 'me' });
    await made.settle();
    expect([answers, made.log.at(-1)]).toEqual([[], 'told']);
    made.requests.answered(first, { kind: 'denied', by: 'me' });
    await made.settle();
    expect(answers).toEqual([{ kind: 'denied', by: 'me' }]);
  });

  test('is asked once: the same question a second time is another request', async () => {
    const made = setUp();
    made.requests.restore(left(made));
    const answers = Promise.all([made.requests.ask(same), made.requests.ask(same)]);
    made.requests.answered('req_left', { kind: 'approved', by: 'me' });
    await made.settle();
    made.requests.answered(first, { kind: 'denied', by: 'me' });
    expect((await answers).map(({ kind }) => kind)).toEqual(['approved', 'denied']);
  });

  test('keeps to its time, however much of that the restart took', async () => {
    const made = setUp();
    made.requests.restore(left(made, -5));
    await made.clock.advance(0);
    await made.settle();
    expect(await made.requests.ask(same)).toEqual({ kind: 'timeout' });
    expect(made.clock.pending).toBe(0);
  });
});
