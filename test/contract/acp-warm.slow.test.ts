import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import type { Endpoint } from '../../src/domain/invocation.ts';
import type { RunEnd, TurnSession } from '../../src/domain/harness-port.ts';
import type { AcpHarness } from '../../src/harness/acp/harness.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { acpAgent, acpHarness } from '../support/acp-endpoint.ts';
import { isRunning } from '../support/processes.ts';
import { waitFor } from '../support/wait-for.ts';
import { Collected, freshSession, requestOf } from './harness.ts';

const root = await realpath(await mkdtemp(join(tmpdir(), 'beckon-acp-')));
const [temporary, store] = [join(root, 'tmp'), join(root, 'store')];
await mkdir(temporary);
await mkdir(store);
afterAll(() => rm(root, { recursive: true, force: true }));

const agent = acpAgent(root, '--store', store);
const opened: AcpHarness[] = [];
afterEach(async () => {
  for (const harness of opened.splice(0)) await harness.close();
});

/** A harness that tells which kept processes it has seen ending. */
function kept(options: Partial<Parameters<typeof acpHarness>[0]> = {}) {
  const told: string[] = [];
  const harness = acpHarness({ environment: { TMPDIR: temporary, HOME: root }, ...options, keep: { events: { ended: (flightId) => void told.push(flightId) }, ...options.keep } });
  opened.push(harness);
  return { harness, told };
}

interface Turn {
  readonly flightId: string;
  readonly end: RunEnd;
  readonly text: string;
  readonly agentSession: string | undefined;
  /** Of the process that was spawned for it; none when one was there. */
  readonly spawned: number | undefined;
}

async function turn(harness: AcpHarness, task: string, session: TurnSession = { id: freshSession() }, endpoint: Endpoint = agent): Promise<Turn> {
  const sink = new Collected();
  const request = requestOf(endpoint, { task, session });
  const end = await harness.start(request, sink).ended;
  return { flightId: request.flightId, end, text: sink.text().trim(), agentSession: sink.agentSession ?? session.agentSession, spawned: sink.marks[0]?.pid };
}

describe('an agent whose turn is over', () => {
  test('waits for the next turn of its session, which begins at once', async () => {
    const { harness } = kept();
    const id = freshSession();
    const first = await turn(harness, 'pid', { id });
    expect(first.end).toEqual({ exitCode: 0, isKept: true });
    expect(Number(first.text)).toBe(first.spawned);
    const second = await turn(harness, 'pid\ncount', { id, agentSession: first.agentSession ?? '' });
    expect(second).toMatchObject({ text: `${first.text}\n2`, spawned: undefined, end: { isKept: true } });
  });

  test('is ended when the directory of its session goes, and no other with it', async () => {
    const { harness } = kept();
    const [id, other] = [freshSession(), freshSession()];
    const [first, second] = [await turn(harness, 'pid', { id }), await turn(harness, 'pid', { id: other })];
    await harness.endSession(id);
    expect([isRunning(Number(first.text)), isRunning(Number(second.text))]).toEqual([false, true]);
    await harness.endSession(id);
    expect((await turn(harness, 'pid', { id, agentSession: first.agentSession ?? '' })).spawned).toBeDefined();
  });

  test('is not there for another session', async () => {
    const { harness } = kept();
    const first = await turn(harness, 'pid');
    const other = await turn(harness, 'pid\ncount');
    expect(other.text).toBe(`${other.spawned}\n1`);
    expect(other.spawned).not.toBe(first.spawned);
  });

  test.each([
    ['its command', { argv: [...agent.argv, '--embeds'] }],
    ['its environment', { env: ['SECRET=1'] }],
    ['its directory', { cwd: store }],
    ['its permissions', { permissions: 'full' as const }],
    ['its PATH', { path: '/usr/bin:/bin' }],
  ])('is ended, and another goes on with its session, when %s has changed', async (_what, change) => {
    const { harness, told } = kept();
    const id = freshSession();
    const first = await turn(harness, 'pid', { id });
    const second = await turn(harness, 'pid\ncount', { id, agentSession: first.agentSession ?? '' }, { ...agent, ...change });
    expect(second.text).toBe(`${second.spawned}\n2`);
    expect(isRunning(first.spawned ?? 0)).toBe(false);
    expect(told).toHaveLength(1);
  });

  test('is ended after five minutes, and that is told', async () => {
    const clock = new FakeClock();
    const { harness, told } = kept({ clock });
    const first = await turn(harness, 'pid');
    await clock.advance(5 * 60_000 - 100);
    expect(isRunning(first.spawned ?? 0)).toBe(true);
    expect(told).toEqual([]);
    await waitFor('its end', async () => {
      await clock.advance(100);
      return told.length > 0;
    });
    expect(told).toEqual([first.flightId]);
    expect(isRunning(first.spawned ?? 0)).toBe(false);
  });

  test('is ended when others are used more', async () => {
    const { harness, told } = kept({ keep: { most: 2 } });
    const ids = [freshSession(), freshSession(), freshSession()] as const;
    const first = await turn(harness, 'pid', { id: ids[0] });
    const second = await turn(harness, 'pid', { id: ids[1] });
    await turn(harness, 'pid', { id: ids[0], agentSession: first.agentSession ?? '' });
    const third = await turn(harness, 'pid', { id: ids[2] });
    await waitFor('the one not used for longest to be gone', () => told.length === 1 && !isRunning(second.spawned ?? 0));
    expect([first, third].map((each) => isRunning(each.spawned ?? 0))).toEqual([true, true]);
  });

  test('may die while it waits: that is told, and the next turn goes on with its session in another', async () => {
    const { harness, told } = kept();
    const id = freshSession();
    const first = await turn(harness, 'later 1', { id });
    await waitFor('word of its end', () => told.length === 1);
    const second = await turn(harness, 'pid\ncount', { id, agentSession: first.agentSession ?? '' });
    expect(second.text).toBe(`${second.spawned}\n2`);
  });

  test('one that ends in a later turn is told of too: it was recorded for the first', async () => {
    const { harness, told } = kept();
    const id = freshSession();
    const first = await turn(harness, 'pid', { id });
    const second = await turn(harness, 'die 3', { id, agentSession: first.agentSession ?? '' });
    expect(second.end).toMatchObject({ exitCode: 3 });
    await waitFor('word of its end', () => told.length === 1);
  });

  test('a stop in a later turn leaves nothing of it', async () => {
    const { harness, told } = kept();
    const id = freshSession();
    const first = await turn(harness, 'pid', { id });
    const sink = new Collected();
    const run = harness.start(requestOf(agent, { task: 'say on\nhang', session: { id, agentSession: first.agentSession ?? '' } }), sink);
    await waitFor('the turn', () => sink.text().includes('on'));
    expect(await run.stop(5000)).toBe(1);
    expect((await run.ended).isKept ?? false).toBe(false);
    expect(isRunning(first.spawned ?? 0)).toBe(false);
    await waitFor('word of its end', () => told.length === 1);
    const next = await turn(harness, 'count', { id, agentSession: first.agentSession ?? '' });
    expect(next.text).toBe('3');
  });

  test('one whose turn failed is not kept', async () => {
    const { harness, told } = kept();
    const { end, spawned } = await turn(harness, 'stop refusal');
    expect(end.isKept ?? false).toBe(false);
    expect(isRunning(spawned ?? 0)).toBe(false);
    expect(told).toEqual([]);
  });

  test('what it says while nobody asked it is not heard, and not part of the next answer', async () => {
    const { harness } = kept();
    const id = freshSession();
    const said = join(root, 'said');
    const first = await turn(harness, `murmur ${said}`, { id });
    // Without a turn of the event loop: when the next turn begins it is in the pipe, and nobody has read it.
    for (let looks = 0; !existsSync(said) && looks < 1000; looks += 1) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10);
    expect(existsSync(said)).toBe(true);
    expect((await turn(harness, 'say mine', { id, agentSession: first.agentSession ?? '' })).text).toBe('mine');
  });

  test('close ends all, and what comes to an end afterwards is not kept either', async () => {
    const { harness, told } = kept();
    const first = await turn(harness, 'pid');
    await harness.close();
    await harness.close();
    expect(isRunning(first.spawned ?? 0)).toBe(false);
    const second = await turn(harness, 'pid');
    await waitFor('both to be told of', () => told.length === 2);
    expect(isRunning(second.spawned ?? 0)).toBe(false);
  });
});

describe('a session whose agent has ended', () => {
  test('is resumed where the agent can, and what it tells of earlier turns is not heard again', async () => {
    for (const options of [[], ['--resume'], ['--late']]) {
      const { harness } = kept();
      const endpoint = acpAgent(root, '--store', store, ...options);
      const id = freshSession();
      const first = await turn(harness, 'say one', { id }, endpoint);
      await harness.close();
      const second = await turn(harness, 'sleep 100\nsay two\ncount\nsession', { id, agentSession: first.agentSession ?? '' }, endpoint);
      expect(second.text).toBe(`two\n2\n${first.agentSession}`);
    }
  });

  test('is an error where it can’t, never a new one', async () => {
    const { harness } = kept();
    const endpoint = acpAgent(root);
    const id = freshSession();
    const first = await turn(harness, 'say one', { id }, endpoint);
    expect((await turn(harness, 'say two', { id, agentSession: first.agentSession ?? '' }, endpoint)).text).toBe('two');
    await harness.close();
    const last = await turn(harness, 'say three', { id, agentSession: first.agentSession ?? '' }, endpoint);
    expect(last.end).toEqual({ error: expect.objectContaining({ code: 'unavailable', message: expect.stringContaining('earlier session') }) });
    expect(last.text).toBe('');
  });
});
