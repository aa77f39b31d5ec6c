import { describe, expect, it } from 'vitest';
import { Feed } from '../../../src/broker/feed.ts';
import { flightIdOf } from '../../../src/domain/ids.ts';
import { nodeIdFor } from '../../support/temp-store.ts';

const one = flightIdOf('01J9Z6M3T4V8Q2X7K5B1C0D9EF');
const other = flightIdOf('01J9Z6M3T4V8Q2X7K5B1C0D9EG');

async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  let settled = false;
  void promise.then(() => {
    settled = true;
  });
  await new Promise((resolve) => setImmediate(resolve));
  return settled;
}

describe('Feed', () => {
  it('wakes everyone who waits for the flight, and nobody else', async () => {
    const feed = new Feed();
    const { signal } = new AbortController();
    const waiting = [feed.next(one, signal), feed.next(one, signal)];
    const elsewhere = feed.next(other, signal);
    feed.changed(one);
    await Promise.all(waiting);
    expect(await isSettled(elsewhere)).toBe(false);
  });

  it('wakes who waits for word of an owner when something of that owner changes, and nobody else', async () => {
    const feed = new Feed();
    const { signal } = new AbortController();
    const [owner, another] = [nodeIdFor(2), nodeIdFor(3)];
    const waiting = [feed.next(one, signal, owner), feed.next(other, signal, owner)];
    const elsewhere = [feed.next(one, signal), feed.next(other, signal, another)];
    feed.ownerChanged(owner);
    await Promise.all(waiting);
    expect(await Promise.all(elsewhere.map(isSettled))).toEqual([false, false]);
    feed.changed(one);
    feed.ownerChanged(another);
    await Promise.all(elsewhere);
  });

  it('lets a waiter go when its signal aborts, before or while it waits', async () => {
    const feed = new Feed();
    const controller = new AbortController();
    const waiting = feed.next(one, controller.signal);
    controller.abort();
    await waiting;
    await feed.next(one, controller.signal);
  });

  it('wakes a waiter that registers while others are being woken only for the next change', async () => {
    const feed = new Feed();
    const { signal } = new AbortController();
    let second: Promise<void> | undefined;
    const first = feed.next(one, signal).then(() => {
      second = feed.next(one, signal);
    });
    feed.changed(one);
    await first;
    expect(await isSettled(second ?? Promise.resolve())).toBe(false);
    feed.changed(one);
    await second;
  });
});
