import { describe, expect, test } from 'vitest';
import type { ProcessMark } from '../../src/domain/harness-port.ts';
import { flightOfInvocation } from '../../src/domain/ids.ts';
import type { FlightId, InvocationId } from '../../src/domain/ids.ts';
import type { SessionChoice } from '../../src/domain/invocation.ts';
import { rowCounts } from '../support/database.ts';
import { me, storePerTest } from '../support/store-per-test.ts';

const mark: ProcessMark = { pid: 4711, session: 4711, startedAt: '123456', bootId: 'b5b1a7f0' };
const at = storePerTest();

async function running(changes: { rerunnable?: boolean; parentId?: InvocationId; session?: SessionChoice } = {}): Promise<InvocationId> {
  const { rerunnable = false, parentId, session } = changes;
  const id = at.story.invocationId();
  const ancestry = parentId === undefined ? { rootId: id, depth: 0, path: [] } : { parentId, rootId: parentId, depth: 1, path: ['@fabric@laptop#main'] };
  const plan = { kind: 'local', queueLimit: 100, ...(session === undefined ? {} : { sessionOwner: 'ada' }) } as const;
  await at.store.write.accept(at.story.accept(at.story.invocation({ origin: me, owner: me }, { id, rerunnable, ancestry, session: session ?? { mode: 'new' } }), plan));
  await at.store.write.start({ stamp: at.story.stamp(), flightId: flightOfInvocation(id) });
  return id;
}

test('a process is known until its flight ends, and over a restart', async () => {
  const flightId = flightOfInvocation(await running());
  await at.store.write.recordProcess({ flightId, process: mark });
  expect(at.store.read.processes()).toEqual([{ flightId, ...mark }]);
  await at.reopen();
  expect(at.store.read.processes()).toEqual([{ flightId, ...mark }]);
  await at.store.write.finish({ stamp: at.story.stamp(), flightId, outcome: { state: 'completed', exitCode: 0 } });
  expect(at.store.read.processes()).toEqual([]);
  expect(rowCounts(at.temp.path)).toMatchObject({ flight_processes: 0 });
});

test('a process that is told of after the end of its flight is not kept', async () => {
  const flightId = flightOfInvocation(await running());
  await at.store.write.finish({ stamp: at.story.stamp(), flightId, outcome: { state: 'completed', exitCode: 0 } });
  await at.store.write.recordProcess({ flightId, process: mark });
  expect(at.store.read.processes()).toEqual([]);
});

test('a flight may have several, each once', async () => {
  const flightId = flightOfInvocation(await running());
  for (const pid of [5, 5, 6]) await at.store.write.recordProcess({ flightId, process: { ...mark, pid } });
  expect(at.store.read.processes().map(({ pid }) => pid)).toEqual([5, 6]);
});

test('after a start the verdict says how many processes were ended, and none is known any more', async () => {
  const [swept, untouched, again] = [await running(), await running(), await running({ rerunnable: true })].map(flightOfInvocation);
  if (swept === undefined || untouched === undefined || again === undefined) throw new Error('three flights');
  for (const flightId of [swept, untouched, again]) await at.store.write.recordProcess({ flightId, process: mark });
  await at.store.write.recover({ stamp: at.story.stamp(), nodeId: me, ended: new Map([[swept, 3], [again, 1]]) });
  expect(at.store.read.flight(swept)).toMatchObject({ state: 'indeterminate', ended: 3 });
  expect(at.store.read.flight(untouched)).toMatchObject({ state: 'indeterminate' });
  expect(at.store.read.flight(untouched)).not.toHaveProperty('ended');
  expect(at.store.read.flight(again)).toMatchObject({ state: 'queued' });
  expect(at.store.read.processes()).toEqual([]);
});

describe('a process that is kept for its session', () => {
  async function kept(session: SessionChoice = { mode: 'new' }): Promise<FlightId> {
    const flightId = flightOfInvocation(await running({ session }));
    await at.store.write.recordProcess({ flightId, process: mark });
    await at.store.write.finish({ stamp: at.story.stamp(), flightId, outcome: { state: 'completed', exitCode: 0 }, keepsProcesses: true });
    return flightId;
  }

  test('is known after its flight has ended, over a restart, until it is gone', async () => {
    const flightId = await kept();
    await at.reopen();
    expect(at.store.read.processes()).toEqual([{ flightId, ...mark }]);
    await at.store.write.forgetProcesses({ flightId });
    expect(at.store.read.processes()).toEqual([]);
  });

  test('that was ended after a start counts for the turn that ran, and for nothing that was over', async () => {
    const first = await kept();
    const turn = flightOfInvocation(await running({ session: { mode: 'continue' } }));
    const other = flightOfInvocation(await running({ session: { mode: 'new' } }));
    const idle = await kept();
    expect(at.store.read.turnOf(at.store.read.flight(turn)?.sessionId ?? ('' as never))).toBe(turn);
    await at.store.write.recover({ stamp: at.story.stamp(), nodeId: me, ended: new Map([[first, 3], [idle, 2]]) });
    expect(at.store.read.flight(turn)).toMatchObject({ state: 'indeterminate', ended: 3 });
    expect(at.store.read.flight(other)).not.toHaveProperty('ended');
    for (const flightId of [first, idle]) expect(at.store.read.flight(flightId)).toMatchObject({ state: 'completed' });
    for (const flightId of [first, idle]) expect(at.store.read.flight(flightId)).not.toHaveProperty('ended');
    expect(at.store.read.processes()).toEqual([]);
    expect(at.store.read.turnOf(at.store.read.flight(turn)?.sessionId ?? ('' as never))).toBeUndefined();
  });

  test('keeps the records of its flight from being pruned', async () => {
    const flightId = await kept();
    const limits = { outputsBeforeMs: 2e15, mostBytes: 0, recordsBeforeMs: at.story.nowMs + 1 };
    while (at.store.read.prunable(limits)) await at.store.write.prune({ ...limits, stamp: at.story.stamp() });
    expect(at.store.read.flight(flightId)).toMatchObject({ state: 'completed' });
    await at.store.write.forgetProcesses({ flightId });
    expect(at.store.read.prunable(limits)).toBe(true);
    await at.store.write.prune({ ...limits, stamp: at.story.stamp() });
    expect(at.store.read.flight(flightId)).toBeUndefined();
  });
});

test('a list of a family has the invocation, its children and theirs, newest first, a page at a time', async () => {
  const head = await running();
  const child = await running({ parentId: head });
  await running();
  const grandchild = await running({ parentId: child });
  const list = async (limit: number, after?: string) => at.store.inspect.flights({ family: head }, { limit, ...(after === undefined ? {} : { after }) });
  expect((await list(10)).items.map((each) => each.invocationId)).toEqual([grandchild, child, head]);
  const first = await list(2);
  expect(first.items.map((each) => each.invocationId)).toEqual([grandchild, child]);
  expect((await list(2, first.next)).items.map((each) => each.invocationId)).toEqual([head]);
  await at.store.write.finish({ stamp: at.story.stamp(), flightId: flightOfInvocation(child), outcome: { state: 'completed', exitCode: 0 } });
  const done = await at.store.inspect.flights({ family: head, state: 'completed', agent: 'fabric' }, { limit: 10 });
  expect(done.items.map((each) => each.invocationId)).toEqual([child]);
});
