import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Notifications } from '../../../src/broker/notifications.ts';
import { unavailable } from '../../../src/domain/errors.ts';
import { flightOfInvocation } from '../../../src/domain/ids.ts';
import type { FlightId } from '../../../src/domain/ids.ts';
import type { Notification, Notifier } from '../../../src/domain/notification.ts';
import type { Log } from '../../../src/domain/ports.ts';
import { nodeIdFor, openTempStore, silentLog, Story } from '../../support/temp-store.ts';
import type { TempStore } from '../../support/temp-store.ts';
import { waitFor } from '../../support/wait-for.ts';

const me = nodeIdFor(1);
let temp: TempStore;
let story: Story;
let told: Notification[];
let notifications: Notifications;
let warnings: string[];
/** What the notifier does besides noting. */
let behave: (signal: AbortSignal) => Promise<void>;

const log: Log = { ...silentLog, warn: (_fields, message) => void warnings.push(message) };
const notifier: Notifier = {
  unable: undefined,
  notify: async (each, signal) => {
    told.push(each);
    await behave(signal);
  },
};

beforeEach(async () => {
  temp = await openTempStore(me);
  story = new Story();
  told = [];
  warnings = [];
  behave = async () => undefined;
  notifications = new Notifications({ store: temp.store, notifier, log });
  await notifications.start();
});
afterEach(async () => {
  await notifications.stop();
  await temp[Symbol.asyncDispose]();
});

async function accepted(notify = true): Promise<FlightId> {
  const invocation = story.invocation({ origin: me, owner: me });
  const flightId = flightOfInvocation(invocation.id);
  await temp.store.write.accept(story.accept(invocation, { kind: 'local', queueLimit: 1000 }, { notify }));
  if (notify) notifications.accepted(flightId);
  await temp.store.write.start({ stamp: story.stamp(), flightId });
  return flightId;
}

async function asks(flightId: FlightId): Promise<string> {
  const request = `req_${story.ulid()}`;
  await temp.store.write.ask({ stamp: story.stamp(), flightId, request, ask: { reason: 'input', prompt: 'which?', choices: [] }, untilMs: 2e15 });
  notifications.changed(flightId);
  return request;
}

async function finish(flightId: FlightId): Promise<void> {
  await temp.store.write.finish({ stamp: story.stamp(), flightId, outcome: { state: 'completed', exitCode: 0 } });
  notifications.changed(flightId);
}

const settled = (): Promise<void> => notifications.settled(new AbortController().signal);
const events = (): string[] => told.map(({ event }) => event);

describe('the person behind a flight', () => {
  test('is told when it waits, each time, and when it has finished, and never twice', async () => {
    const flightId = await accepted();
    const request = await asks(flightId);
    await settled();
    for (let again = 0; again < 3; again += 1) notifications.changed(flightId);
    await settled();
    expect(told).toMatchObject([{ event: 'waiting', waiting: { request, prompt: 'which?' } }]);
    await temp.store.write.giveReply({ stamp: story.stamp(), flightId, request, reply: { kind: 'text', text: 'this' }, by: 'uid:1' });
    await asks(flightId);
    await settled();
    await finish(flightId);
    await settled();
    notifications.changed(flightId);
    await settled();
    expect(events()).toEqual(['waiting', 'waiting', 'finished']);
  });

  test('is told nothing of a flight of which nothing was asked', async () => {
    await finish(await accepted(false));
    await settled();
    expect(told).toEqual([]);
  });

  test('is told after a restart what was not told before it, and nothing else', async () => {
    const [open, over, toldAlready] = [await accepted(), await accepted(), await accepted()];
    await finish(toldAlready);
    await settled();
    // The node dies here: nobody hears of these.
    await temp.store.write.finish({ stamp: story.stamp(), flightId: over, outcome: { state: 'completed' } });
    const again = new Notifications({ store: await temp.reopen(), notifier, log });
    told = [];
    await again.start();
    await again.settled(new AbortController().signal);
    expect(told.map(({ flightId }) => flightId)).toEqual([over]);
    expect(temp.store.read.toNotify()).toEqual([{ flightId: open, told: undefined }]);
    await again.stop();
  });

  test('is told again when the node died before it had stored that it was told: at least once', async () => {
    behave = (signal) => new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(new Error('ended'))));
    const flightId = await accepted();
    await finish(flightId);
    await waitFor('it to be told', () => told.length === 1);
    await notifications.stop();
    behave = async () => undefined;
    notifications = new Notifications({ store: temp.store, notifier, log });
    await notifications.start();
    await settled();
    expect(events()).toEqual(['finished', 'finished']);
    expect(temp.store.read.toNotify()).toEqual([]);
  });
});

test('a notifier that fails is complained of once, and what it failed to tell is not told again', async () => {
  behave = async () => Promise.reject(unavailable('no such program'));
  for (let count = 0; count < 3; count += 1) await finish(await accepted());
  await settled();
  expect(events()).toEqual(['finished', 'finished', 'finished']);
  expect(warnings).toEqual(['a notification could not be shown']);
  expect(temp.store.read.toNotify()).toEqual([]);
  behave = async () => undefined;
  await finish(await accepted());
  await settled();
  behave = async () => Promise.reject(unavailable('no such program'));
  await finish(await accepted());
  await settled();
  expect(warnings).toHaveLength(2);
});

test('of a hundred flights that end at once a few are told at a time', async () => {
  let now = 0;
  let most = 0;
  behave = async () => {
    now += 1;
    most = Math.max(most, now);
    await new Promise((resolve) => setImmediate(resolve));
    now -= 1;
  };
  const all = await Promise.all(Array.from({ length: 100 }, () => accepted()));
  await Promise.all(all.map(finish));
  await settled();
  expect([told.length, most]).toEqual([100, 4]);
});
