/** Peers that speak of flights that are none of theirs: what an owner and an origin make of it. */
import { expect, test } from 'vitest';
import { Chronicler } from '../../../src/broker/chronicler.ts';
import { Inbox } from '../../../src/broker/inbox.ts';
import type { InboxParts } from '../../../src/broker/inbox.ts';
import { Outbox } from '../../../src/broker/outbox.ts';
import type { OutboxParts } from '../../../src/broker/outbox.ts';
import { denied } from '../../../src/domain/errors.ts';
import { flightOfInvocation } from '../../../src/domain/ids.ts';
import type { ControlMessage } from '../../../src/domain/messages.ts';
import type { Link } from '../../../src/domain/mesh-port.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { nodeIdFor, silentLog, Story } from '../../support/temp-store.ts';

const [me, owner, other] = [nodeIdFor(1), nodeIdFor(2), nodeIdFor(3)];

function linkOf(nodeId: typeof me, sent: ControlMessage[] = []): Link {
  return { peer: { nodeId, owner: 'ada', name: 'desktop' }, isUp: true, send: (message: ControlMessage) => sent.push(message) } as unknown as Link;
}

test('that this store has lost what another node handed over is not believed: nothing is held up', async () => {
  const story = new Story();
  const id = story.invocationId();
  const suspected: string[] = [];
  const known = { id: flightOfInvocation(id), originNodeId: owner, ownerNodeId: me };
  const inbox = new Inbox({
    store: { read: { flight: () => known } },
    ...{ self: { nodeId: me }, clock: new FakeClock(), log: silentLog },
    rollback: () => ({ suspect: async (_link: Link, evidence: string) => void suspected.push(evidence) }),
  } as unknown as InboxParts);
  const sent: ControlMessage[] = [];
  await expect(inbox.sync(linkOf(other, sent), { type: 'sync', items: [{ invocationId: id, receipted: true, lastSeq: 9, cancelRequested: false }] })).rejects.toMatchObject({ code: 'denied' });
  expect(sent).toEqual([{ type: 'sync_reply', items: [{ invocationId: id, state: 'unknown', run: 0, lastSeq: 0 }] }]);
  expect(suspected).toEqual([]);
});

test('a receipt of another node does not make an origin wait that was told not to', async () => {
  const story = new Story();
  const clock = new FakeClock();
  const invocation = story.invocation({ origin: me, owner });
  const flight = { id: flightOfInvocation(invocation.id), invocationId: invocation.id, originNodeId: me, ownerNodeId: owner };
  const ended: string[] = [];
  const refuse = (): Promise<never> => Promise.reject(denied('not for this node to speak of'));
  const store = {
    read: { flight: () => flight, openAt: () => [], unsent: () => [], taskBytes: () => 0 },
    write: { receipt: refuse, reject: refuse, loseAttempts: async () => 0, endAtOrigin: async ({ flightId }: { flightId: string }) => (ended.push(flightId), flight) },
  };
  const feed = { changed: () => undefined, ownerChanged: () => undefined };
  const links = new Map([owner, other].map((each) => [each, linkOf(each)]));
  const link = (nodeId: typeof me): Link => links.get(nodeId) ?? linkOf(nodeId);
  const mesh = () => ({ link: (nodeId: typeof me) => links.get(nodeId), want: async () => undefined });
  const outbox = new Outbox({ store, mesh, feed, clock, chronicler: new Chronicler(clock), log: silentLog, traces: { forwarded: (each: unknown) => each } } as unknown as OutboxParts);
  for (const each of links.values()) await outbox.linkUp(each);
  outbox.accepted(flight as unknown as Parameters<Outbox['accepted']>[0], undefined, false);
  const { hlc } = story.stamp();
  const words = { invocationId: invocation.id, hlc };
  await expect(outbox.receipt(link(other), { type: 'receipt', receivedAtMs: 1, ...words })).rejects.toMatchObject({ code: 'denied' });
  await expect(outbox.reject(link(other), { type: 'reject', reason: 'denied', error: { code: 'denied', message: '' }, ...words })).rejects.toMatchObject({ code: 'denied' });
  await expect(outbox.cancelledUnknown(link(other), { type: 'cancelled_unknown', ...words })).rejects.toMatchObject({ code: 'denied' });
  await expect(outbox.syncReply(link(other), { type: 'sync_reply', items: [{ invocationId: invocation.id, state: 'unknown', run: 0, lastSeq: 0 }] })).rejects.toMatchObject({ code: 'denied' });
  links.delete(owner);
  await outbox.linkDown(link(owner), 'it went');
  expect(ended).toEqual([flight.id]);
});
