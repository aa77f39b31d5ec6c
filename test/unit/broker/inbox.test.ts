import { expect, test } from 'vitest';
import { flightTraces } from '../../../src/app/telemetry.ts';
import { Chronicler } from '../../../src/broker/chronicler.ts';
import { Inbox } from '../../../src/broker/inbox.ts';
import type { InboxParts } from '../../../src/broker/inbox.ts';
import { Sessions } from '../../../src/broker/sessions.ts';
import { denied } from '../../../src/domain/errors.ts';
import type { BrokerError } from '../../../src/domain/errors.ts';
import type { ControlMessage } from '../../../src/domain/messages.ts';
import type { Link } from '../../../src/domain/mesh-port.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { nodeIdFor, silentLog, Story, textTask } from '../../support/temp-store.ts';

const [me, origin] = [nodeIdFor(1), nodeIdFor(2)];
const target = '@fabric@laptop#main';

/** What an owner answers to an invocation with these ancestors. */
async function answer(depth: number, path: readonly string[], limits = { holdMs: 1000, totalMs: 2000 }, refusal?: BrokerError): Promise<{ sent: ControlMessage[]; received: number }> {
  const story = new Story();
  const clock = new FakeClock();
  const sent: ControlMessage[] = [];
  let received = 0;
  const store = {
    read: { ownRegistration: (address: string) => (address === target ? { address, visibility: 'mesh', harness: 'command' } : undefined) },
    write: { receive: async () => ((received += 1), { flight: { receivedAtMs: 1 }, fresh: true }) },
  };
  const inbox = new Inbox({
    store,
    self: { nodeId: me, owner: () => 'ada', name: () => 'laptop' },
    chronicler: new Chronicler(clock),
    runner: { wake: () => undefined, claim: () => undefined, retryAfterMs: () => 700 },
    clock,
    log: silentLog,
    isDraining: () => false,
    sessions: new Sessions({ endpoint: () => undefined }, new Map()),
    isLeaving: () => false,
    policy: { settled: () => undefined, refusalOf: () => refusal },
    traces: flightTraces(me, undefined),
  } as unknown as InboxParts);
  const link = { peer: { nodeId: origin, owner: 'ada', name: 'desktop' }, send: (message: ControlMessage) => sent.push(message) } as unknown as Link;
  const root = story.invocationId();
  const invocation = story.invocation({ origin, owner: me }, { target, limits, ancestry: { parentId: root, rootId: root, depth, path } });
  await inbox.forward(link, { type: 'forward', invocation, task: textTask('x'), attempt: 1, hlc: story.stamp().hlc });
  return { sent, received };
}

test('an owner refuses a cycle that its origin let through, and stores nothing', async () => {
  const { sent, received } = await answer(2, [target, '@review@desktop#main']);
  expect(sent).toEqual([expect.objectContaining({ type: 'reject', reason: 'peer_rejected', error: expect.objectContaining({ code: 'conflict', message: expect.stringContaining(`${target} → @review@desktop#main → ${target}`) }) })]);
  expect(received).toBe(0);
});

test('an owner refuses a chain that is too deep', async () => {
  const { sent, received } = await answer(9, ['@review@desktop#main']);
  expect([sent[0]?.type, received]).toEqual(['reject', 0]);
});

test('an owner takes a chain that is neither', async () => {
  const { sent, received } = await answer(1, ['@review@desktop#main']);
  expect([sent[0]?.type, received]).toEqual(['receipt', 1]);
});

test('an owner refuses deadlines that never come', async () => {
  for (const limits of [{ holdMs: Number.MAX_SAFE_INTEGER, totalMs: 1000 }, { holdMs: 1000, totalMs: Number.MAX_SAFE_INTEGER }]) {
    const { sent, received } = await answer(1, ['@review@desktop#main'], limits);
    expect([sent[0]?.type, received]).toEqual(['reject', 0]);
  }
});

test('an owner stores nothing of what its policy refuses, and says why', async () => {
  const refusal = denied('bob may not invoke it', 'ask ada');
  const { sent, received } = await answer(0, [], { holdMs: 1000, totalMs: 2000 }, refusal);
  expect(sent).toEqual([expect.objectContaining({ type: 'reject', reason: 'denied', error: refusal.toInfo() })]);
  expect(received).toBe(0);
});

test('what starts with the commit that takes it in is told by that event alone, and gives its place back when it does not start', async () => {
  const story = new Story();
  const clock = new FakeClock();
  for (const state of ['running', 'queued'] as const) {
    const [sent, became]: [string[], string[]] = [[], []];
    const invocation = story.invocation({ origin, owner: me }, { target });
    const store = {
      read: { ownRegistration: () => ({ address: target, visibility: 'mesh', harness: 'command' }) },
      write: { receive: async ({ start }: { start: boolean }) => ({ flight: { state, receivedAtMs: 1, asked: start }, fresh: true }) },
    };
    const claim = { started: ({ asked }: { asked: boolean }) => became.push(`started, asked ${asked}`), dropped: () => became.push('dropped') };
    const inbox = new Inbox({
      store, clock, self: { nodeId: me, owner: () => 'ada', name: () => 'laptop' }, chronicler: new Chronicler(clock), log: silentLog,
      runner: { wake: () => became.push('waits'), claim: () => claim, retryAfterMs: () => 700 }, isDraining: () => false, isLeaving: () => false,
      sessions: new Sessions({ endpoint: () => undefined }, new Map()), policy: { settled: () => undefined, refusalOf: () => undefined }, traces: flightTraces(me, undefined),
    } as unknown as InboxParts);
    const link = { peer: { nodeId: origin, owner: 'ada', name: 'desktop' }, send: ({ type }: ControlMessage) => sent.push(type) } as unknown as Link;
    await inbox.forward(link, { type: 'forward', invocation, task: textTask('x'), attempt: 1, hlc: story.stamp().hlc });
    expect([sent, became]).toEqual(state === 'running' ? [[], ['started, asked true']] : [['receipt'], ['dropped', 'waits']]);
  }
});
