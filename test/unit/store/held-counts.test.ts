import { expect, test } from 'vitest';
import type { AcceptPlan } from '../../../src/domain/accepting.ts';
import type { Answer } from '../../../src/store/protocol.ts';
import { nodeIdFor, Story } from '../../support/temp-store.ts';
import { codeOf, request, scratchWriter } from './scratch.ts';

const [me, desktop, server] = [nodeIdFor(1), nodeIdFor(2), nodeIdFor(3)];
const held = (heldLimit: number): AcceptPlan => ({ kind: 'defer', reason: 'peer_unreachable', detail: 'away', heldLimit });

/** An origin that accepts for other nodes. */
function origin() {
  const writer = scratchWriter(me);
  const story = new Story();
  const accept = (owner: typeof me, plan: AcceptPlan): Answer | undefined => writer.commit(request('accept', story.accept(story.invocation({ origin: me, owner }), plan)))[0];
  const rows = (): number => Number(writer.reading.prepare("SELECT count(*) FROM deliveries WHERE status = 'deferred'").pluck().get());
  return { writer, story, accept, rows };
}

test('what waits for a node is refused above its limit with a time to come back, and nothing of it is stored', () => {
  const { writer, accept, rows } = origin();
  expect(Array.from({ length: 5 }, () => codeOf(accept(desktop, held(3))))).toEqual(['ok', 'ok', 'ok', 'overload', 'overload']);
  const refused = accept(desktop, held(3));
  expect(refused !== undefined && 'error' in refused ? refused.error.retryAfterMs : undefined).toBeGreaterThan(0);
  expect([rows(), Number(writer.reading.prepare('SELECT count(*) FROM invocations').pluck().get())]).toEqual([3, 3]);
});

test('nobody else is refused for it: not what goes at once, nor what waits for another node', () => {
  const { story, accept } = origin();
  for (let count = 0; count < 2; count += 1) accept(desktop, held(2));
  expect(codeOf(accept(desktop, held(2)))).toBe('overload');
  expect(codeOf(accept(server, held(2)))).toBe('ok');
  expect(codeOf(accept(desktop, { kind: 'send', attemptId: story.attemptId() }))).toBe('ok');
});

test('when some of it has left there is room again, and a greater limit counts at once', () => {
  const { writer, story, accept } = origin();
  for (let count = 0; count < 3; count += 1) accept(desktop, held(3));
  expect([codeOf(accept(desktop, held(3))), codeOf(accept(desktop, held(4)))]).toEqual(['overload', 'ok']);
  const [first] = writer.reading.prepare("SELECT invocation_id FROM deliveries WHERE status = 'deferred'").pluck().all() as never[];
  writer.commit(request('beginAttempt', { stamp: story.stamp(), invocationId: first as never, attemptId: story.attemptId() }));
  story.nowMs += 2_000;
  expect([codeOf(accept(desktop, held(4))), codeOf(accept(desktop, held(4)))]).toEqual(['ok', 'overload']);
});

test('what was there before a restart counts', () => {
  const { writer, accept } = origin();
  for (let count = 0; count < 3; count += 1) accept(desktop, { kind: 'defer', reason: 'peer_unreachable', detail: 'away' });
  expect(codeOf(accept(desktop, held(3)))).toBe('overload');
  expect(writer.tables.held).toBeDefined();
});
