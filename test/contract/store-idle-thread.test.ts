/** The thread of the long reads, from outside: whether it runs. */
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { Worker } from 'node:worker_threads';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Inspection } from '../../src/store/inspection.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { auditSealOf, nodeIdFor, openTempStore, silentLog } from '../support/temp-store.ts';
import { waitFor } from '../support/wait-for.ts';

const me = nodeIdFor(1);
const running = new Set<Worker>();
const started = (message: unknown): void => {
  const { worker } = message as { readonly worker: Worker };
  running.add(worker);
  worker.once('exit', () => running.delete(worker));
};

beforeEach(() => {
  running.clear();
  subscribe('worker_threads', started);
});
afterEach(() => unsubscribe('worker_threads', started));

async function opened(): Promise<AsyncDisposable & { readonly inspection: Inspection; readonly clock: FakeClock }> {
  const temp = await openTempStore(me);
  running.clear();
  const clock = new FakeClock();
  const inspection = new Inspection({ path: temp.path, seal: auditSealOf(me), log: silentLog, clock, countFlights: () => ({}) });
  return {
    inspection,
    clock,
    async [Symbol.asyncDispose]() {
      await inspection.close();
      await temp[Symbol.asyncDispose]();
    },
  };
}

test('the thread of the long reads runs only while somebody asks, and half a minute longer', async () => {
  await using at = await opened();
  expect(running.size).toBe(0);
  expect(await at.inspection.flights({}, { limit: 1 })).toEqual({ items: [] });
  await at.clock.advance(29_000);
  expect(await at.inspection.flights({}, { limit: 1 })).toEqual({ items: [] });
  await at.clock.advance(29_000);
  expect(running.size).toBe(1);
  await at.clock.advance(1_000);
  await waitFor('the thread to end', () => running.size === 0);
  expect(await at.inspection.flights({}, { limit: 1 })).toEqual({ items: [] });
  expect(running.size).toBe(1);
});

test('woken, it is there before the first question, is the one that answers it, and rests when there is none', async () => {
  await using at = await opened();
  at.inspection.wake();
  at.inspection.wake();
  expect(running.size).toBe(1);
  expect(await at.inspection.flights({}, { limit: 1 })).toEqual({ items: [] });
  expect(running.size).toBe(1);
  await at.clock.advance(30_000);
  await waitFor('the thread to end', () => running.size === 0);
  at.inspection.wake();
  await waitFor('it to idle', () => at.clock.pending === 1);
  await at.clock.advance(30_000);
  await waitFor('the thread to end again', () => running.size === 0);
});

test('a question that takes longer than the thread may idle is answered by it', async () => {
  await using at = await opened();
  const asked = at.inspection.flights({}, { limit: 1 });
  await at.clock.advance(120_000);
  expect(await asked).toEqual({ items: [] });
});

test('how many flights are in each state is asked without a thread', async () => {
  await using temp = await openTempStore(me);
  running.clear();
  expect(await temp.store.inspect.countFlights()).toEqual({});
  expect(running.size).toBe(0);
});

test('a store that closes while its thread ends waits for that', async () => {
  await using at = await opened();
  await at.inspection.flights({}, { limit: 1 });
  await at.clock.advance(30_000);
  await at.inspection.close();
  expect(running.size).toBe(0);
  await expect(at.inspection.flights({}, { limit: 1 })).rejects.toMatchObject({ code: 'unavailable' });
});
