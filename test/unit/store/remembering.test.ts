/** What is remembered is what the file has, after every write and while others are on their way. */
import { expect, test } from 'vitest';
import { flightOfInvocation } from '../../../src/domain/ids.ts';
import type { FlightId, InvocationId } from '../../../src/domain/ids.ts';
import type { StoreReads, StoreWrites } from '../../../src/domain/store-port.ts';
import { openReading } from '../../../src/store/connection.ts';
import { readerOver } from '../../../src/store/reader.ts';
import { remembering } from '../../../src/store/remembering.ts';
import { auditSealOf, nodeIdFor, openTempStore, Story, textTask, utf8 } from '../../support/temp-store.ts';
import { storeStory, storyNode } from '../../support/store-story.ts';

const [me, peer] = [nodeIdFor(1), nodeIdFor(2)];

/** A store with a memory of its own, its file as another connection sees it, and what was read of that. */
async function remembered(nodeId = me) {
  const temp = await openTempStore(nodeId);
  const db = openReading(temp.path);
  const file = readerOver(db, auditSealOf(nodeId));
  const reads: string[] = [];
  const counted = Object.fromEntries(Object.entries(file).map(([name, read]) => [name, (...args: unknown[]) => (reads.push(name), (read as (...given: unknown[]) => unknown)(...args))])) as unknown as StoreReads;
  const close = async (): Promise<void> => (db.close(), temp[Symbol.asyncDispose]());
  return { file, reads, ...remembering(counted, temp.store.write), [Symbol.asyncDispose]: close };
}

test('after every write of the story it gives what the file has', async () => {
  await using at = await remembered(storyNode);
  const { file, read, write } = at;
  const ids = new Set<InvocationId>();
  for (const { name, input } of storeStory()) {
    await (write[name] as (given: unknown) => Promise<unknown>)(input);
    for (const id of JSON.stringify(input ?? null).matchAll(/inv_[0-9A-Z]{26}/g)) ids.add(id[0] as InvocationId);
    for (const id of JSON.stringify(input ?? null).matchAll(/flt_([0-9A-Z]{26})/g)) ids.add(`inv_${id[1]}` as InvocationId);
    for (const id of ids) {
      const flight = flightOfInvocation(id);
      expect({ name, flight: read.flight(flight) }).toEqual({ name, flight: file.flight(flight) });
      for (const after of [0, 1, 2, 3]) expect({ name, after, events: read.events(flight, after, 1000) }).toEqual({ name, after, events: file.events(flight, after, 1000) });
      const target = file.invocation(id)?.target ?? '';
      expect([read.endpoint(target), read.shares(target), read.ownRegistration(target)]).toEqual([file.endpoint(target), file.shares(target), file.ownRegistration(target)]);
    }
    expect([name, read.membership(), read.member(peer), read.mesh()]).toEqual([name, file.membership(), file.member(peer), file.mesh()]);
  }
  expect(ids.size).toBeGreaterThan(10);
});

/** One flight of each side, from its first write to its last. */
async function call(story: Story, write: StoreWrites, read: StoreReads): Promise<{ here: FlightId; there: FlightId }> {
  const stamp = () => story.stamp();
  const own = story.invocation({ origin: me, owner: peer });
  const here = flightOfInvocation(own.id);
  const seen = (id: FlightId, after: number): void => void [read.flight(id), read.events(id, after, 1000)];
  await write.accept(story.accept(own, { kind: 'send', attemptId: story.attemptId() }));
  seen(here, 0);
  await write.applyEvents({ stamp: stamp(), invocationId: own.id, fromNodeId: peer, receivedAtMs: 5, events: [{ seq: 1, ...stamp(), body: { kind: 'started', run: 1 } }] });
  seen(here, 0);
  await write.applyEvents({ stamp: stamp(), invocationId: own.id, fromNodeId: peer, receivedAtMs: 5, events: [{ seq: 2, ...stamp(), body: { kind: 'output', stream: 'stdout', bytes: utf8('x') } }, { seq: 3, ...stamp(), body: { kind: 'finished', state: 'completed', exitCode: 0 } }] });
  seen(here, 1);
  const theirs = story.invocation({ origin: peer, owner: me });
  const there = flightOfInvocation(theirs.id);
  await write.receive({ stamp: stamp(), invocation: theirs, task: textTask('x'), queueLimit: 9, start: true });
  seen(there, 0);
  await write.appendOutput({ flightId: there, chunks: [{ stream: 'stdout', bytes: utf8('x'), stamp: stamp() }] });
  seen(there, 1);
  await write.finish({ stamp: stamp(), flightId: there, outcome: { state: 'completed', exitCode: 0 }, last: [{ stream: 'stderr', bytes: utf8('y'), stamp: stamp() }] });
  seen(there, 2);
  return { here, there };
}

test('a call is followed without reading the file, on either side', async () => {
  await using at = await remembered();
  const { file, reads, read, write } = at;
  const { here, there } = await call(new Story(), write, read);
  expect(reads).toEqual([]);
  for (const id of [here, there]) {
    expect(read.flight(id)).toEqual(file.flight(id));
    expect(read.events(id, 0, 1000)).toEqual(file.events(id, 0, 1000));
  }
  expect(reads).toEqual([]);
});

test('an answer that comes after a later wish was asked for is not taken for the newest', async () => {
  await using at = await remembered();
  const { file, read, write } = at;
  const story = new Story();
  const own = story.invocation({ origin: me, owner: peer });
  const id = flightOfInvocation(own.id);
  await Promise.all([
    write.accept(story.accept(own, { kind: 'send', attemptId: story.attemptId() })),
    write.requestCancel({ stamp: story.stamp(), flightId: id, by: 'uid:501' }),
  ]);
  expect(read.flight(id)).toEqual(file.flight(id));
  expect(read.flight(id)?.cancelRequestedAtMs).toBeDefined();
});

test('what its caller does with its memory afterwards changes nothing', async () => {
  await using at = await remembered();
  const { file, read, write } = at;
  const story = new Story();
  const { there } = await call(story, write, read);
  const theirs = story.invocation({ origin: peer, owner: me });
  const id = flightOfInvocation(theirs.id);
  await write.receive({ stamp: story.stamp(), invocation: theirs, task: textTask('x'), queueLimit: 9, start: true });
  const bytes = utf8('mine');
  const stored = write.appendOutput({ flightId: id, chunks: [{ stream: 'stdout', bytes: new Uint8Array(bytes), stamp: story.stamp() }] });
  const reused = utf8('last');
  await stored;
  const finished = write.finish({ stamp: story.stamp(), flightId: id, outcome: { state: 'completed', exitCode: 0 }, last: [{ stream: 'stdout', bytes: reused, stamp: story.stamp() }] });
  await finished;
  reused.fill(0);
  expect(read.events(id, 0, 1000).map(({ body }) => (body.kind === 'output' ? Buffer.from(body.bytes).toString() : body.kind))).toEqual(['started', 'mine', 'last', 'finished']);
  expect(there).not.toBe(id);
  expect(file.flight(id)).toEqual(read.flight(id));
});

test('what an agent is, and whom it is shared with, is asked of the file once, and again after it was changed', async () => {
  await using at = await remembered();
  const { file, reads, read, write } = at;
  const story = new Story();
  const address = '@fabric@laptop#main';
  const endpoint = { agentId: 'agt_01J9Z6M3T4V8Q2X7K5B1C0D9EF' as never, address, harness: 'command', cwd: '/', argv: ['x'], env: [], path: '', permissions: 'ask', isolate: false } as const;
  const registration = { address, nodeId: me, harness: 'command', capabilities: [], labels: {}, visibility: 'mesh', description: '', isDefault: false, available: true } as const;
  expect(read.endpoint(address)).toBeUndefined();
  const adding = write.addAgent({ stamp: story.stamp(), endpoint, registration });
  // It is on its way: whatever is seen now may be old in a moment.
  read.endpoint(address);
  await adding;
  reads.length = 0;
  for (let times = 0; times < 3; times += 1) expect([read.endpoint(address), read.shares(address)]).toEqual([file.endpoint(address), []]);
  expect(reads).toEqual(['endpoint', 'shares']);
  await write.shareAgent({ stamp: story.stamp(), address, shares: [{ with: 'person', name: 'bob' }], by: 'ada' });
  expect(read.shares(address)).toEqual([{ with: 'person', name: 'bob' }]);
});
