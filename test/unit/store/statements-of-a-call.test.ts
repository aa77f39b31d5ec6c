/** What the writes of one call run in the database: each statement is paid by every call. */
import { expect, test } from 'vitest';
import { flightOfInvocation } from '../../../src/domain/ids.ts';
import type { Connection } from '../../../src/store/connection.ts';
import { openTables } from '../../../src/store/tables.ts';
import { performWith, writeHandlers } from '../../../src/store/write-handlers.ts';
import { nodeIdFor, Story, textTask, utf8 } from '../../support/temp-store.ts';
import { scratchWriter } from './scratch.ts';

const [left, right] = [nodeIdFor(1), nodeIdFor(2)];

/** A node's writes, on its own thread, each counted by the statements that it runs. */
function counted(nodeId: typeof left): (name: string, input: unknown) => number {
  const { db } = scratchWriter(nodeId);
  let ran = 0;
  const counting = <Target extends object>(target: Target, names: ReadonlySet<string>, then: (made: unknown) => unknown = (made) => made): Target =>
    new Proxy(target, {
      get(_target, name) {
        const value = Reflect.get(target, name, target) as unknown;
        if (typeof value !== 'function') return value;
        return (...args: unknown[]) => {
          if (names.has(String(name))) ran += 1;
          return then(Reflect.apply(value, target, args) as unknown);
        };
      },
    });
  const statement = (made: unknown): unknown => (typeof made === 'object' && made !== null && 'run' in made ? counting(made, new Set(['run', 'get', 'all', 'iterate'])) : made);
  const connection: Connection = counting(db, new Set(), statement);
  const perform = performWith(writeHandlers(connection, openTables(connection, nodeId)));
  return (name, input) => {
    ran = 0;
    db.transaction(() => perform(name, input))();
    return ran;
  };
}

test('a call to another node runs no more statements than it has to', () => {
  const [origin, owner, story] = [counted(left), counted(right), new Story()];
  const call = (): Readonly<Record<string, number>> => {
    const invocation = story.invocation({ origin: left, owner: right });
    const flightId = flightOfInvocation(invocation.id);
    const stamp = () => story.stamp();
    const accept = origin('accept', story.accept(invocation, { kind: 'send', attemptId: story.attemptId() }));
    const receive = owner('receive', { stamp: stamp(), invocation, task: textTask('do it'), queueLimit: 10, originOwner: 'ada', start: true });
    const finish = owner('finish', { stamp: stamp(), flightId, outcome: { state: 'completed', exitCode: 0 }, last: [{ stream: 'stdout', bytes: utf8('done'), stamp: stamp() }] });
    const at = () => ({ atMs: story.nowMs, hlc: stamp().hlc });
    const applyEvents = origin('applyEvents', {
      stamp: stamp(), invocationId: invocation.id, fromNodeId: right, receivedAtMs: story.nowMs,
      events: [
        { seq: 1, ...at(), body: { kind: 'started', run: 1 } },
        { seq: 2, ...at(), body: { kind: 'output', stream: 'stdout', bytes: utf8('done') } },
        { seq: 3, ...at(), body: { kind: 'finished', state: 'completed', exitCode: 0 } },
      ],
    });
    const acknowledged = owner('acknowledged', { flightId, originNodeId: left, seq: 3 });
    return { accept, receive, finish, applyEvents, acknowledged };
  };
  // The first of each looks up what the writer then remembers.
  call();
  expect(call()).toEqual({ accept: 8, receive: 9, finish: 6, applyEvents: 12, acknowledged: 2 });
});
