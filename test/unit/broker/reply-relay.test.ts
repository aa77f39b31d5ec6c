import { describe, expect, test } from 'vitest';
import { ReplyRelay } from '../../../src/broker/reply-relay.ts';
import type { ReplyRelayParts } from '../../../src/broker/reply-relay.ts';
import { BrokerError, denied, notFound } from '../../../src/domain/errors.ts';
import { flightIdOf, invocationIdOf } from '../../../src/domain/ids.ts';
import type { NodeId } from '../../../src/domain/ids.ts';
import type { RelayedReply } from '../../../src/domain/messages.ts';
import type { Flight } from '../../../src/domain/records.ts';
import { nodeIdFor } from '../../support/temp-store.ts';

const [origin, owner] = [nodeIdFor(2), nodeIdFor(3)];
const ulids = ['01J9Z6M3T4V8Q2X7K5B1C0D9EF', '01J9Z6M3T4V8Q2X7K5B1C1D9EF'];
const flights = ulids.map((ulid) => ({ id: flightIdOf(ulid), invocationId: invocationIdOf(ulid), originNodeId: origin, ownerNodeId: owner, target: '@fabric@laptop#main' }) as Flight);
const [flight] = flights as [Flight, Flight];
const input = { id: flight.id, reply: { kind: 'approved' }, by: 'uid:501', waitMs: 1000 } as const;

/** What is asked of which node, when those nodes can be reached and belong to those people. */
function relay(linked: ReadonlyMap<NodeId, string>, options: { failure?: BrokerError; waiting?: readonly Flight[]; known?: boolean; found?: Flight } = {}) {
  const asked: { at: NodeId; query: RelayedReply }[] = [];
  const given: unknown[] = [];
  const recorded: unknown[] = [];
  const link = (at: NodeId) => {
    const person = linked.get(at);
    const ask = async (query: RelayedReply): Promise<unknown> => {
      asked.push({ at, query });
      if (options.failure !== undefined) throw options.failure;
      return { type: 'reply', flight, request: 'req_1', confirmed: true };
    };
    return person === undefined ? undefined : { peer: { nodeId: at, name: 'there', owner: person }, ask };
  };
  const parts = {
    self: { nodeId: nodeIdFor(9), owner: () => 'ada' },
    mesh: () => ({ link, want: (id: NodeId) => Promise.resolve(link(id)) }),
    replies: { give: async (each: unknown) => (given.push(each), { flight, request: 'req_1', confirmed: true }) },
    policy: { refusalFor: async ({ owner: person }: { owner: string }) => (person === 'ada' ? undefined : denied('no rule allows it')) },
    whereabouts: async () => options.found ?? Promise.reject(notFound('nowhere')),
    audit: { record: async (entry: unknown) => void recorded.push(entry) },
    targetOf: () => '@fabric@laptop#main',
    sight: { flight: (_peer: unknown, each: Flight) => each },
    find: () => {
      if (options.known === true) return flight;
      throw notFound('not here');
    },
    waiting: async () => ({ waiting: (options.waiting ?? flights.slice(0, 1)).map((each) => ({ flight: each, nodeId: origin, nodeName: 'there' })), gaps: [{ nodeId: owner, nodeName: 'desktop', why: 'away' }] }),
  } as unknown as ReplyRelayParts;
  return { relay: new ReplyRelay(parts), asked, given, recorded };
}

describe('a reply to a flight that is not known here', () => {
  test('goes to its owner, and to its origin when the owner can not be reached', async () => {
    const both = relay(new Map([[owner, 'ada'], [origin, 'ada']]));
    await expect(both.relay.give(input)).resolves.toMatchObject({ confirmed: true });
    expect(both.asked).toEqual([{ at: owner, query: { type: 'reply', invocationId: flight.invocationId, request: '', reply: { kind: 'approved' }, by: 'uid:501', waitMs: 1000 } }]);
    const one = relay(new Map([[origin, 'ada']]));
    await one.relay.give({ ...input, id: flight.id.slice(-6), request: '9EF0' });
    expect(one.asked).toMatchObject([{ at: origin, query: { request: '9EF0' } }]);
  });

  test('goes to a node of another person, who judges it, only when none of its own person has a part in it', async () => {
    const both = relay(new Map([[owner, 'bob'], [origin, 'ada']]));
    await both.relay.give(input);
    const one = relay(new Map([[owner, 'bob']]), { waiting: [], found: flight });
    await one.relay.give(input);
    expect([both.asked[0]?.at, one.asked[0]?.at]).toEqual([origin, owner]);
    const none = relay(new Map(), { waiting: [], found: flight });
    await expect(none.relay.give(input)).rejects.toMatchObject({ code: 'unavailable' });
    // An end of an id may be that of somebody else's.
    await expect(relay(new Map([[owner, 'bob']]), { waiting: [], found: flight }).relay.give({ ...input, id: flight.id.slice(-6) })).rejects.toMatchObject({ code: 'not_found' });
  });

  test('is in the audit here with who said it, once the other node has it', async () => {
    const act = { who: { is: 'user', id: 'uid:501' }, from: { via: 'socket' } } as const;
    const about = { flight: flight.id, agent: '@fabric@laptop#main', request: 'req_1' };
    for (const [reply, kind] of [[{ kind: 'approved' }, 'request.approved'], [{ kind: 'denied' }, 'request.denied'], [{ kind: 'text', text: 'no-such-secret' }, 'request.answered']] as const) {
      const { relay: one, recorded } = relay(new Map([[owner, 'ada']]));
      await one.give({ ...input, reply }, act);
      expect(recorded).toEqual([{ kind, about, ...act }]);
    }
    const refused = relay(new Map([[owner, 'ada']]), { failure: new BrokerError('conflict', 'it was answered already') });
    await expect(refused.relay.give(input, act)).rejects.toMatchObject({ code: 'conflict' });
    // Where the flight is known it is in the commit of the reply.
    const known = relay(new Map(), { known: true });
    await known.relay.give(input, act);
    expect([refused.recorded, known.recorded]).toEqual([[], []]);
  });

  test('that may or may not have been taken is to be said again', async () => {
    const { relay: one } = relay(new Map([[owner, 'ada']]), { failure: new BrokerError('deadline', 'no answer') });
    await expect(one.give(input)).rejects.toMatchObject({ code: 'unavailable', hint: expect.stringContaining('again') });
  });

  test('names what was not asked when nothing waits by that id, and is ambiguous when several do', async () => {
    const none = relay(new Map(), { waiting: [] });
    await expect(none.relay.give(input)).rejects.toMatchObject({ code: 'not_found', message: expect.stringContaining('desktop') });
    await expect(none.relay.give({ ...input, id: 'last' })).rejects.toMatchObject({ code: 'not_found' });
    await expect(relay(new Map(), { waiting: flights }).relay.give({ ...input, id: 'D9EF' })).rejects.toMatchObject({ code: 'ambiguous' });
  });

  test('stays here when the flight is known here', async () => {
    const { relay: one, asked, given } = relay(new Map(), { known: true });
    await one.give(input);
    expect([asked, given]).toEqual([[], [input]]);
  });
});

describe('a reply that comes from another node of the mesh', () => {
  const query: RelayedReply = { type: 'reply', invocationId: flight.invocationId, request: '', reply: { kind: 'denied' }, by: 'uid:501', waitMs: 1e9 };
  const from = (person: string) => ({ peer: { name: 'server', owner: person } }) as never;

  test('of the same person is given in its name, for a bounded time', async () => {
    const { relay: one, given } = relay(new Map());
    await expect(one.answer(from('ada'), query)).resolves.toMatchObject({ type: 'reply', confirmed: true });
    expect(given).toEqual([{ id: flight.id, reply: { kind: 'denied' }, by: 'uid:501 on server', waitMs: 60_000 }]);
  });

  test('of another person is denied', async () => {
    const { relay: one, given } = relay(new Map());
    await expect(one.answer(from('bob'), query)).rejects.toMatchObject({ code: 'denied' });
    expect(given).toEqual([]);
  });
});
