import { expect, test } from 'vitest';
import type { AgentsUpdate, AgentView } from '../../../src/broker/api.ts';
import { watchAgents } from '../../../src/broker/watch-agents.ts';
import { nodeIdOfPublicKey } from '../../../src/domain/ids.ts';
import { FakeClock } from '../../support/fake-clock.ts';

const [desktop, other] = [nodeIdOfPublicKey(new Uint8Array(32).fill(2)), nodeIdOfPublicKey(new Uint8Array(32).fill(3))];

function view(name: string, changes: Partial<AgentView> & { readonly available?: boolean; readonly nodeId?: typeof desktop } = {}): AgentView {
  const { available = true, nodeId = desktop, ...rest } = changes;
  const registration = { address: `@${name}@desktop#main`, nodeId, harness: 'command', capabilities: [], labels: {}, visibility: 'mesh', description: '', isDefault: false, available } as const;
  return { registration, nodeName: 'desktop', owner: 'ada', state: 'alive', lastSeenMs: 1, ...rest };
}

function scene(...agents: AgentView[]) {
  const clock = new FakeClock();
  const letGo = new AbortController();
  const listeners = new Set<() => void>();
  const listen = (listener: () => void): (() => void) => {
    listeners.add(listener);
    return () => listeners.delete(listener);
  };
  const known = new Map(agents.map((each) => [each.registration.address, each]));
  const seen = { looks: 0 };
  const views = { all: () => ((seen.looks += 1), [...known.values()]) };
  const updates = watchAgents({ views, registry: { onChange: listen }, mesh: { onPeer: (tell) => listen(() => tell({} as never, undefined)) }, clock }, {}, letGo.signal);
  const next = async (): Promise<AgentsUpdate | undefined> => (await updates.next()).value as AgentsUpdate | undefined;
  const set = (each: AgentView): void => (known.set(each.registration.address, each), tell());
  const remove = (name: string): void => (known.delete(view(name).registration.address), tell());
  const tell = (): void => listeners.forEach((each) => each());
  return { clock, letGo, known, listeners, next, seen, set, remove, tell };
}

const names = (update: AgentsUpdate | undefined): (string | undefined)[][] => [
  (update?.agents ?? []).map(({ registration }) => registration.address.split('@')[1]),
  (update?.gone ?? []).map(({ address }) => address.split('@')[1]),
];

test('all agents come first, none too; then those that are new, different or gone', async () => {
  const { clock, next, set, remove } = scene();
  expect(names(await next())).toEqual([[], []]);
  const added = next();
  set(view('one'));
  await clock.advance(250);
  expect(names(await added)).toEqual([['one'], []]);
  const changed = next();
  set(view('one', { available: false }));
  set(view('two'));
  await clock.advance(250);
  expect(names(await changed)).toEqual([['one', 'two'], []]);
  const gone = next();
  remove('one');
  await clock.advance(250);
  expect(names(await gone)).toEqual([[], ['one']]);
});

test('a change after a rest is told at once, and never more than four updates a second', async () => {
  const { clock, next, set, seen } = scene(view('one'));
  await next();
  const first = next();
  await clock.advance(1000);
  set(view('two'));
  await first;
  expect(clock.now()).toBe(1_700_000_001_000);
  const looks = seen.looks;
  const pending = next();
  for (let each = 0; each < 1000; each += 1) set(view(`more${each}`));
  await clock.advance(249);
  expect(seen.looks).toBe(looks);
  await clock.advance(1);
  expect((await pending)?.agents).toHaveLength(1000);
});

test('a reader that is slow is told the newest, however much there was in between', async () => {
  const { clock, next, set } = scene();
  await next();
  for (let each = 0; each < 5000; each += 1) {
    set(view('one', { available: each % 2 === 0, owner: `owner${each}` }));
    if (each % 100 === 0) await clock.advance(250);
  }
  await clock.advance(250);
  expect((await next())?.agents).toMatchObject([{ owner: 'owner4999' }]);
  let isMore = false;
  void next().then(() => (isMore = true));
  await clock.advance(1000);
  expect(isMore).toBe(false);
});

test('that a live node was heard again is nothing new; that one grew silent is', async () => {
  const { clock, next, set } = scene(view('one'));
  await next();
  const update = next();
  set(view('one', { lastSeenMs: 2 }));
  await clock.advance(3000);
  set(view('one', { lastSeenMs: 2, state: 'unreachable' }));
  await clock.advance(250);
  expect((await update)?.agents).toMatchObject([{ state: 'unreachable', lastSeenMs: 2 }]);
});

test('what changes by growing old is found within 2 s', async () => {
  const { clock, known, next } = scene();
  await next();
  const update = next();
  known.set('one', view('one'));
  await clock.advance(2000);
  expect(names(await update)).toEqual([['one'], []]);
});

test('agents of two nodes that have one name for a while are two', async () => {
  const { clock, known, next, tell } = scene(view('one'));
  known.set('its namesake', view('one', { nodeId: other }));
  expect(names(await next())).toEqual([['one', 'one'], []]);
  const update = next();
  known.delete('its namesake');
  tell();
  await clock.advance(250);
  expect(await update).toMatchObject({ agents: [], gone: [{ nodeId: other }] });
});

test('who lets go is forgotten, with every timer', async () => {
  const { clock, letGo, listeners, next } = scene(view('one'));
  await next();
  const waiting = next();
  await Promise.resolve();
  letGo.abort();
  expect(await waiting).toBeUndefined();
  expect([listeners.size, clock.pending]).toEqual([0, 0]);
});
