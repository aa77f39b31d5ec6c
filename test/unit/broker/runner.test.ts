/** What of a queued flight is looked at again before it starts. */
import { expect, test } from 'vitest';
import { Chronicler } from '../../../src/broker/chronicler.ts';
import { Runner } from '../../../src/broker/runner.ts';
import type { RunnerParts } from '../../../src/broker/runner.ts';
import { denied } from '../../../src/domain/errors.ts';
import type { BrokerError } from '../../../src/domain/errors.ts';
import type { Outcome } from '../../../src/domain/flight-event.ts';
import type { Harness, RunEnd } from '../../../src/domain/harness-port.ts';
import { flightOfInvocation } from '../../../src/domain/ids.ts';
import type { Flight } from '../../../src/domain/records.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { nodeIdFor, silentLog, Story, textTask } from '../../support/temp-store.ts';
import { waitFor } from '../../support/wait-for.ts';

const target = '@deploy@laptop#main';
const refusal = denied('bob (studio) may not invoke it');

/** A runner with one flight of another node in its queue, and what becomes of it. */
function runner(refusalOf: () => BrokerError | undefined, place: () => Promise<void> = () => Promise.resolve()) {
  const story = new Story();
  const clock = new FakeClock();
  const invocation = story.invocation({ origin: nodeIdFor(2), owner: nodeIdFor(1) }, { target });
  const id = flightOfInvocation(invocation.id);
  const flight = { id, invocationId: invocation.id, target, state: 'queued', run: 0, holdUntilMs: Number.MAX_SAFE_INTEGER, limits: invocation.limits, originNodeId: nodeIdFor(2), originOwner: 'bob' } as Flight;
  let now = flight;
  const [begun, finished]: [string[], Outcome[]] = [[], []];
  const { promise: ended, resolve: end } = Promise.withResolvers<RunEnd>();
  const harness = { name: 'command', keepsSessions: false, start: () => (begun.push('spawned'), { ended, stop: async () => (end({ signal: 'SIGTERM' }), 1) }) } as unknown as Harness;
  const parts = {
    store: {
      read: {
        taskBytes: () => 0,
        queued: () => (now.state === 'queued' ? [id] : []), flight: () => now, endpoint: () => ({ harness: 'command', address: target }),
        invocation: () => invocation, task: () => textTask('x'), queuedTargets: () => [target], queuedCount: () => (now.state === 'queued' ? 1 : 0),
      },
      write: {
        finish: async ({ outcome }: { outcome: Outcome }) => {
          finished.push(outcome);
          now = { ...now, state: outcome.state };
          return { flight: now };
        },
        appendOutput: async () => [],
      },
    },
    harnesses: new Map([['command', harness]]),
    isolation: {
      place: async (_flight: Flight, endpoint: unknown) => (await place(), { endpoint }),
      begin: async () => (begun.push('started'), (now = { ...now, state: 'running' })),
      dropped: async () => undefined,
    },
    chronicler: new Chronicler(clock), clock, log: silentLog, refusalOf,
    feed: { changed: () => undefined }, ulids: { next: () => story.ulid() }, environmentOf: () => ({}),
    onEvents: () => undefined, onDoubt: () => undefined, mayStart: () => true,
  } as unknown as RunnerParts;
  const started = { ...flight, state: 'running', run: 1 } as Flight;
  const work = { invocation, task: textTask('x') };
  return { it: new Runner(parts), id, flight, work, started, begun, finished, end };
}

test('a caller whose right was taken back while it waited starts nothing, and its flight ends denied', async () => {
  const { it, begun, finished } = runner(() => refusal);
  it.wake(target);
  await waitFor('its end', () => finished.length > 0);
  expect([begun, finished]).toEqual([[], [{ state: 'failed', error: refusal.toInfo() }]]);
});

test('a right that is taken back while its worktree is made keeps it from starting', async () => {
  const { promise: made, resolve } = Promise.withResolvers<void>();
  const { it, id, begun, finished } = runner(() => undefined, () => made);
  it.wake(target);
  const refused = it.refuse(id, refusal);
  resolve();
  expect(await refused).toBe(true);
  expect([begun, finished]).toEqual([[], [expect.objectContaining({ state: 'failed', error: expect.objectContaining({ code: 'denied' }) })]]);
});

test('what runs goes on when the right to it is taken back', async () => {
  const { it, id, begun, finished, end } = runner(() => undefined);
  it.wake(target);
  await waitFor('its process', () => begun.includes('spawned'));
  expect(await it.refuse(id, refusal)).toBe(false);
  expect(it.runningFor(target).map((flight) => flight.id)).toEqual([id]);
  end({ exitCode: 0 });
  await waitFor('its end', () => finished.length > 0);
  expect(finished).toEqual([expect.objectContaining({ state: 'completed' })]);
});

test('what waits ends at once when the right to it is taken back', async () => {
  const { it, id, finished } = runner(() => undefined);
  expect(await it.refuse(id, refusal)).toBe(true);
  expect(finished).toEqual([{ state: 'failed', error: refusal.toInfo() }]);
});

test('what starts with the commit that takes it in spawns nothing before that commit', async () => {
  const { it, flight, work, started, begun, finished, end } = runner(() => undefined);
  const claim = it.claim(flight, work);
  await Promise.resolve();
  expect([begun, it.running]).toEqual([[], 1]);
  claim?.started(started);
  await waitFor('its process', () => begun.includes('spawned'));
  end({ exitCode: 0 });
  await waitFor('its end', () => finished.length > 0);
  // Its start was not written a second time.
  expect([begun, finished]).toEqual([['spawned'], [expect.objectContaining({ state: 'completed' })]]);
});

test('what was not stored as started after all gives its place back, and what waits is looked at', async () => {
  const { it, id, flight, work, begun } = runner(() => undefined);
  const claims = [1, 2, 3, 4].map((each) => it.claim({ ...flight, id: `${id.slice(0, -1)}${each}` as Flight['id'] }, work));
  expect(it.claim({ ...flight, id: `${id.slice(0, -1)}5` as Flight['id'] }, work)).toBeUndefined();
  it.wake(target);
  expect(it.running).toBe(4);
  claims[0]?.dropped();
  await waitFor('the one that waits', () => begun.includes('spawned'));
  for (const claim of claims) claim?.dropped();
  await waitFor('the others to be gone', () => it.running === 1);
});

test('a cancel that comes while it is being taken in ends it before anything is spawned', async () => {
  const { it, id, flight, work, started, begun, finished } = runner(() => undefined);
  const claim = it.claim(flight, work);
  const over = it.end(id, 'cancel');
  claim?.started(started);
  await over;
  expect([begun, finished]).toEqual([[], [{ state: 'cancelled', ended: 0 }]]);
});

test('a right that is taken back while it is being taken in keeps it from being spawned', async () => {
  const { it, flight, work, started, begun, finished } = runner(() => refusal);
  it.claim(flight, work)?.started(started);
  await waitFor('its end', () => finished.length > 0);
  expect([begun, finished]).toEqual([[], [{ state: 'failed', error: refusal.toInfo() }]]);
});

test('nothing starts with its commit that is late, or whose node goes down', async () => {
  const { it, flight, work } = runner(() => undefined);
  expect(it.claim({ ...flight, holdUntilMs: 0 }, work)).toBeUndefined();
  await it.drain(new AbortController().signal);
  expect(it.claim(flight, work)).toBeUndefined();
});
