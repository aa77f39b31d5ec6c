import { describe, expect, test } from 'vitest';
import type { BrokerError } from '../../src/domain/errors.ts';
import type { FlightEvents, PeerAnswer } from '../../src/domain/messages.ts';
import { testMesh } from '../contract/trust/mesh-fixture.ts';
import { Relay } from '../support/relay.ts';
import { waitFor } from '../support/wait-for.ts';
import { fastClock, newInvocationId, someHlc, TestNode } from './session-fixture.ts';

const failureOf = (promise: Promise<unknown>): Promise<BrokerError> =>
  promise.then(
    () => Promise.reject(new Error('it did not fail')),
    (error: unknown) => error as BrokerError,
  );

describe('a receiver that is slow', () => {
  test('holds back 50 MB of events on both ends, loses none, and hears heartbeats meanwhile', async () => {
    await using authority = await testMesh();
    await using desktop = await new TestNode(await authority.member('desktop')).start();
    await using laptop = await new TestNode(await authority.member('laptop'), { seeds: [desktop.address] }).start();
    const link = await laptop.linkTo(desktop);
    desktop.isRemembering = false;
    let pending = 0;
    let mostPending = 0;
    let arrived = 0;
    let nextSeq = 1;
    let release: (() => void)[] = [];
    let isHeld = true;
    desktop.onMessage = async (message) => {
      if (message.type !== 'flight_events') return;
      const bytes = message.events.reduce((sum, { body }) => sum + (body.kind === 'output' ? body.bytes.length : 0), 0);
      for (const { seq } of message.events) expect(seq).toBe(nextSeq++);
      pending += bytes;
      mostPending = Math.max(mostPending, pending);
      if (isHeld) await new Promise<void>((resolve) => release.push(resolve));
      pending -= bytes;
      arrived += bytes;
    };
    const invocationId = newInvocationId();
    const content = new Uint8Array(32 * 1024).fill(120);
    const total = 1600;
    let sent = 0;
    const sending = (async () => {
      for (let seq = 1; seq <= total; seq += 1) {
        const events: FlightEvents['events'] = [{ seq, atMs: 1, hlc: someHlc, body: { kind: 'output', stream: 'stdout', bytes: content } }];
        await link.sendEvents({ type: 'flight_events', invocationId, receivedAtMs: 1, events });
        sent = seq;
      }
    })();
    let last = -1;
    await waitFor('the sender to be held back', async () => {
      const isStill = last === sent && sent > 0;
      last = sent;
      await new Promise((resolve) => setTimeout(resolve, 300));
      return isStill && last === sent;
    });
    // What waits at the receiver, on the wire and at the sender: 4, a few and 1 MiB.
    expect(mostPending).toBeLessThan(6 * 1024 * 1024);
    expect(sent * content.length).toBeLessThan(12 * 1024 * 1024);
    // 20 s of these clocks: the silence of a peer that is not heard would have ended the link.
    await new Promise((resolve) => setTimeout(resolve, 2000));
    expect(laptop.stateOf(desktop)).toBe('alive');
    expect(desktop.stateOf(laptop)).toBe('alive');
    await expect(link.ask({ type: 'ping' }, 3000)).resolves.toEqual({ type: 'ping' });
    isHeld = false;
    const drain = (): void => {
      for (const resolve of release.splice(0)) resolve();
    };
    drain();
    await sending;
    await waitFor('all to arrive', () => (drain(), arrived === total * content.length), { timeoutMs: 20_000 });
    expect(laptop.downs).toEqual([]);
    release = [];
  });

  test('events that wait when the link goes down do not keep their sender waiting', async () => {
    await using authority = await testMesh();
    const desktop = await new TestNode(await authority.member('desktop')).start();
    await using laptop = await new TestNode(await authority.member('laptop'), { seeds: [desktop.address] }).start();
    const link = await laptop.linkTo(desktop);
    desktop.onMessage = () => new Promise(() => undefined);
    const event = { seq: 1, atMs: 1, hlc: someHlc, body: { kind: 'output', stream: 'stdout', bytes: new Uint8Array(32 * 1024) } } as const;
    const sending = Promise.all(
      Array.from({ length: 400 }, () => link.sendEvents({ type: 'flight_events', invocationId: newInvocationId(), receivedAtMs: 1, events: [event] })),
    );
    await waitFor('some to arrive', () => desktop.messages.length > 10);
    await desktop[Symbol.asyncDispose]();
    await sending;
    expect(link.isUp).toBe(false);
  });
});

describe('a question', () => {
  test('gets its answer, or the error of the one who was asked, each its own', async () => {
    await using authority = await testMesh();
    await using desktop = await new TestNode(await authority.member('desktop')).start();
    await using laptop = await new TestNode(await authority.member('laptop'), { seeds: [desktop.address] }).start();
    const link = await laptop.linkTo(desktop);
    const { invalid } = await import('../../src/domain/errors.ts');
    desktop.onQuery = (query): Promise<PeerAnswer> => {
      if (query.type === 'trace') return Promise.reject(invalid('no such invocation', 'look again'));
      if (query.type === 'flights') return Promise.resolve({ type: 'flights', page: { items: [], next: String(query.limit) } });
      return Promise.resolve({ type: 'ping' });
    };
    const answers = await Promise.all([
      link.ask({ type: 'flights', filter: { state: 'running' }, limit: 7 }, 1000),
      link.ask({ type: 'ping' }, 1000),
      failureOf(link.ask({ type: 'trace', invocationId: newInvocationId() }, 1000)),
      link.ask({ type: 'flights', filter: {}, limit: 9, after: 'x' }, 1000),
    ]);
    expect(answers[0]).toEqual({ type: 'flights', page: { items: [], next: '7' } });
    expect(answers[1]).toEqual({ type: 'ping' });
    expect(answers[2]).toMatchObject({ code: 'invalid', message: 'no such invocation', hint: 'look again' });
    expect(answers[3]).toEqual({ type: 'flights', page: { items: [], next: '9' } });
  });

  test('that is never answered fails after its time, one whose link goes down at once', async () => {
    await using authority = await testMesh();
    const desktop = await new TestNode(await authority.member('desktop')).start();
    await using laptop = await new TestNode(await authority.member('laptop'), { seeds: [desktop.address] }).start();
    const link = await laptop.linkTo(desktop);
    desktop.onQuery = () => new Promise(() => undefined);
    await expect(failureOf(link.ask({ type: 'ping' }, 500))).resolves.toMatchObject({ code: 'deadline' });
    const lost = failureOf(link.ask({ type: 'ping' }, 100_000));
    await desktop[Symbol.asyncDispose]();
    await expect(lost).resolves.toMatchObject({ code: 'unavailable' });
    await expect(failureOf(link.ask({ type: 'ping' }, 500))).resolves.toMatchObject({ code: 'unavailable' });
  });

  test('beyond sixteen at once is refused, and the link goes on', async () => {
    await using authority = await testMesh();
    await using desktop = await new TestNode(await authority.member('desktop')).start();
    await using laptop = await new TestNode(await authority.member('laptop'), { seeds: [desktop.address] }).start();
    const link = await laptop.linkTo(desktop);
    const release: (() => void)[] = [];
    desktop.onQuery = () => new Promise((resolve) => release.push(() => resolve({ type: 'ping' })));
    const asked = Array.from({ length: 20 }, () => link.ask({ type: 'ping' }, 10_000).then(() => 'answered', (error: BrokerError) => error.code));
    await waitFor('the questions', () => release.length === 16);
    await expect(failureOf(link.ask({ type: 'ping' }, 2000))).resolves.toMatchObject({ code: 'overload' });
    for (const resolve of release) resolve();
    const outcomes = await Promise.all(asked);
    expect(outcomes.filter((outcome) => outcome === 'answered')).toHaveLength(16);
    expect(outcomes.filter((outcome) => outcome === 'overload')).toHaveLength(4);
  });
});

test('stop does not wait for a dial to a host that never answers', async () => {
  await using authority = await testMesh();
  await using relay = await Relay.start(() => ({ host: '127.0.0.1', port: 1 }));
  relay.isBlackHole = true;
  // A clock on which no dial ever times out.
  const laptop = await new TestNode(await authority.member('laptop'), { clock: fastClock(0.001), seeds: [relay.address] }).start();
  await waitFor('the dial', () => relay.accepted === 1);
  const startedAt = performance.now();
  await laptop[Symbol.asyncDispose]();
  expect(performance.now() - startedAt).toBeLessThan(1000);
});

test('stop leaves nothing behind: no socket, no timer, no server', async () => {
  await using authority = await testMesh();
  const clock = fastClock();
  let timers = 0;
  const counting = { ...clock, setTimer: (ms: number, fn: () => void) => {
    timers += 1;
    let isOpen = true;
    const close = (): void => {
      if (isOpen) timers -= 1;
      isOpen = false;
    };
    const cancel = clock.setTimer(ms, () => (close(), fn()));
    return () => (close(), cancel());
  } };
  const desktop = await new TestNode(await authority.member('desktop'), { clock: counting }).start();
  const laptop = await new TestNode(await authority.member('laptop'), { clock: counting, seeds: [desktop.address, '127.0.0.1:1'] }).start();
  await laptop.linkTo(desktop);
  await laptop[Symbol.asyncDispose]();
  await laptop.mesh.stop();
  await desktop[Symbol.asyncDispose]();
  await waitFor('all to be closed', () => {
    expect(process.getActiveResourcesInfo().filter((kind) => /TCP|TLS/.test(kind))).toEqual([]);
    expect(timers).toBe(0);
    return true;
  });
});
