/** The merged stream with nodes that answer as a test says. */
import { expect, test } from 'vitest';
import { createSystemClock } from '../../../src/app/system-clock.ts';
import type { AskMembers } from '../../../src/broker/ask-members.ts';
import { Chronicler } from '../../../src/broker/chronicler.ts';
import type { Nodes } from '../../../src/broker/nodes.ts';
import type { TailUpdate } from '../../../src/broker/operator-api.ts';
import type { Self } from '../../../src/broker/self.ts';
import type { FactsAnswer, FactsQuery } from '../../../src/broker/tail-source.ts';
import { tail } from '../../../src/broker/tailing.ts';
import { BrokerError, unavailable } from '../../../src/domain/errors.ts';
import type { Fact } from '../../../src/domain/event.ts';
import { encodeHlc } from '../../../src/domain/hlc.ts';
import { eventIdOf } from '../../../src/domain/ids.ts';
import type { NodeId, Ulid } from '../../../src/domain/ids.ts';
import type { Store } from '../../../src/domain/store-port.ts';
import { nodeIdFor, Story } from '../../support/temp-store.ts';
import { waitFor } from '../../support/wait-for.ts';

const [me, desktop] = [nodeIdFor(1), nodeIdFor(2)];
const story = new Story();

function factOf(nodeId: NodeId, ms: number): Fact {
  return { id: eventIdOf(story.ulid() as Ulid), nodeId, what: 'node.started', detail: {}, atMs: ms, hlc: encodeHlc({ ms, counter: 0 }) };
}

type Answer = (query: FactsQuery, number: number) => FactsAnswer;

/** One other node; `own` has nothing unless it is said. */
function stream(answer: Answer, noFollow: boolean, own: Answer = (query) => none(query)): { readonly updates: AsyncGenerator<TailUpdate>; readonly asked: FactsQuery[]; readonly letGo: AbortController } {
  const asked: FactsQuery[] = [];
  const letGo = new AbortController();
  const clock = createSystemClock();
  const members = {
    others: () => [{ nodeId: desktop }],
    ask: async (_nodeId: NodeId, query: FactsQuery) => {
      asked.push(query);
      return answer(query, asked.length);
    },
  } as unknown as AskMembers;
  const nodes = { nameOf: (nodeId: NodeId) => (nodeId === me ? 'laptop' : 'desktop') } as Nodes;
  const ownFacts = async (query: FactsQuery): Promise<FactsAnswer> => own(query, 0);
  const parts = { store: {} as Store, self: { nodeId: me } as Self, nodes, members, chronicler: new Chronicler(clock), clock, ownFacts };
  return { updates: tail(parts, { noFollow, sinceMs: 0 }, letGo.signal), asked, letGo };
}

const none = (query: FactsQuery): FactsAnswer => ({ type: 'facts', facts: [], next: query.after ?? 0, more: false, hlc: query.hlc, putBack: false });

async function all(updates: AsyncIterable<TailUpdate>): Promise<TailUpdate[]> {
  const found: TailUpdate[] = [];
  for await (const update of updates) found.push(update);
  return found;
}

test('what two nodes tell in pages comes out in one order', async () => {
  const early = Date.now() - 60_000;
  const pages = [0, 1, 2].map((page) => [0, 1, 2].map((at) => factOf(desktop, early + page * 30 + at * 10)));
  const own = [5, 25, 65].map((ms) => factOf(me, early + ms));
  const { updates } = stream(
    (query) => ({ ...none(query), facts: pages[query.after ?? 0] ?? [], next: (query.after ?? 0) + 1, more: (query.after ?? 0) < 2 }),
    true,
    (query) => ({ ...none(query), facts: query.after === undefined ? own : [], next: 1 }),
  );
  const facts = (await all(updates)).flatMap((each) => (each.type === 'fact' ? [each] : []));
  expect(facts.map(({ fact }) => fact.atMs - early)).toEqual([0, 5, 10, 20, 25, 30, 40, 50, 60, 65, 70, 80]);
  expect(facts.some(({ late }) => late)).toBe(false);
});

test('while nobody reads no more than two pages of a node are asked for, however much it has', async () => {
  const early = Date.now() - 3_600_000;
  let number = 0;
  const endless: Answer = (query) => ({ ...none(query), facts: Array.from({ length: query.limit }, () => factOf(desktop, early + (number += 1))), next: number, more: true });
  const { updates, asked, letGo } = stream(endless, false);
  for (let count = 0; count < 10; count += 1) await updates.next();
  const before = asked.length;
  await new Promise((resolve) => setTimeout(resolve, 300));
  expect(asked.length).toBeLessThanOrEqual(before + 2);
  const held = asked.length;
  for (let count = 0; count < 3 * (asked[0]?.limit ?? 0); count += 1) await updates.next();
  expect(asked.length).toBeGreaterThan(held);
  letGo.abort();
  await updates.return(undefined);
});

test('a node whose clock is more than five minutes ahead is late always, and what others tell is in order all the same', async () => {
  const now = Date.now();
  const { updates } = stream(
    (query) => ({ ...none(query), hlc: encodeHlc({ ms: now + 3_600_000, counter: 0 }), facts: query.after === undefined ? [factOf(desktop, now + 3_600_000)] : [], next: 1 }),
    true,
    (query) => ({ ...none(query), facts: query.after === undefined ? [factOf(me, now - 2000), factOf(me, now - 1000)] : [], next: 1 }),
  );
  const facts = (await all(updates)).flatMap((each) => (each.type === 'fact' ? [each] : []));
  expect(facts.filter(({ nodeName }) => nodeName === 'desktop').map(({ late }) => late)).toEqual([true]);
  expect(facts.filter(({ nodeName }) => nodeName === 'laptop').map(({ late }) => late)).toEqual([false, false]);
});

test('a node that is away is named once, with until when it is known; when it answers again that is said before what it tells', async () => {
  const known = Date.now() - 5000;
  const { updates, letGo } = stream((query, number) => {
    if (number === 2 || number === 3) throw unavailable('desktop can’t be reached');
    return { ...none(query), facts: number === 1 || number === 4 ? [factOf(desktop, known + number)] : [], next: number };
  }, false);
  const seen: TailUpdate[] = [];
  const reading = (async () => {
    for await (const update of updates) seen.push(update);
  })();
  await waitFor('it to be back', () => seen.filter(({ type }) => type === 'fact').length === 2, { timeoutMs: 10_000 });
  letGo.abort();
  await reading;
  expect(seen.map(({ type }) => type)).toEqual(['fact', 'gap', 'back', 'fact']);
  expect(seen[1]).toMatchObject({ nodeName: 'desktop', why: 'desktop can’t be reached', knownUntilMs: known + 1 });
}, 15_000);

test('a store that was put back is told of', async () => {
  const { updates } = stream((query) => ({ ...none(query), putBack: query.after !== undefined }), false);
  const letGo = updates;
  const { value } = (await letGo.next()) as { value: TailUpdate };
  expect(value).toMatchObject({ type: 'gap', why: expect.stringContaining('put back') });
  await letGo.return(undefined);
});

test('a member that may not be asked is named, and not waited for', async () => {
  const { updates } = stream(() => {
    throw new BrokerError('denied', 'ada may not inspect the work of bob');
  }, true, (query) => ({ ...none(query), facts: [factOf(me, 1000)] }));
  expect((await all(updates)).map(({ type }) => type)).toEqual(['gap', 'fact']);
});
