/** Pruning takes what is over and old, and nothing else. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { flightOfInvocation } from '../../../src/domain/ids.ts';
import type { InvocationId } from '../../../src/domain/ids.ts';
import type { FlightEvent } from '../../../src/domain/flight-event.ts';
import { mostFreedBytes, mostRows } from '../../../src/store/pruning.ts';
import type { Answer } from '../../../src/store/protocol.ts';
import { nodeIdFor, Story, textTask, utf8 } from '../../support/temp-store.ts';
import { codeOf, request, scratchWriter } from './scratch.ts';

const me = nodeIdFor(1);
const other = nodeIdFor(2);
const never = { outputsBeforeMs: 0, mostBytes: Infinity, recordsBeforeMs: 0 };

type Writer = ReturnType<typeof scratchWriter>;

function valueOf(answer: Answer | undefined): any {
  if (answer === undefined || 'error' in answer) throw new Error(JSON.stringify(answer));
  return answer.value;
}

/** What the sums say, and what is there. */
function sums({ reading }: Writer): { said: number; stored: number; rows: number } {
  const number = (sql: string): number => Number(reading.prepare(sql).pluck().get());
  return {
    said: number('SELECT bytes FROM stored_sum'),
    rows: number('SELECT coalesce(sum(stored_bytes), 0) FROM flights'),
    stored: number(`SELECT (SELECT coalesce(sum(length(text)), 0) FROM payloads) + (SELECT coalesce(sum(length(bytes)), 0) FROM payload_files)
      + (SELECT coalesce(sum(length(bytes)), 0) FROM flight_events) + (SELECT coalesce(sum(length(bytes)), 0) FROM large_bytes)
      + (SELECT coalesce(sum(length(json_extract(detail, '$.text'))), 0) FROM flight_events)`),
  };
}

class Work {
  readonly writer = scratchWriter(me);
  readonly story = new Story();

  write(name: Parameters<typeof request>[0], input: any): any {
    return valueOf(this.writer.commit(request(name, input))[0]);
  }

  accept(text = 'do it', key?: string): InvocationId {
    const invocation = this.story.invocation({ origin: me, owner: me });
    this.write('accept', this.story.accept(invocation, { kind: 'local', queueLimit: 1e9 }, { task: textTask(text), ...(key === undefined ? {} : { key }) }));
    return invocation.id;
  }

  receive(text = 'do it'): InvocationId {
    const invocation = this.story.invocation({ origin: other, owner: me });
    this.write('receive', { stamp: this.story.stamp(), invocation, task: textTask(text), queueLimit: 1e9 });
    return invocation.id;
  }

  run(id: InvocationId, ...output: string[]): void {
    this.write('start', { stamp: this.story.stamp(), flightId: flightOfInvocation(id) });
    this.write('appendOutput', { flightId: flightOfInvocation(id), chunks: output.map((text) => ({ stream: 'stdout', bytes: utf8(text), stamp: this.story.stamp() })) });
  }

  think(id: InvocationId, text: string): void {
    this.write('appendOutput', { flightId: flightOfInvocation(id), chunks: [{ progress: { kind: 'thought', text }, stamp: this.story.stamp() }] });
  }

  finish(id: InvocationId): void {
    this.write('finish', { stamp: this.story.stamp(), flightId: flightOfInvocation(id), outcome: { state: 'completed', exitCode: 0 } });
  }

  acknowledge(id: InvocationId): void {
    this.write('acknowledged', { flightId: flightOfInvocation(id), originNodeId: other, seq: 1e9 });
  }

  prune(limits: Partial<typeof never>): { outputs: number; records: number; bytes: number } {
    return this.write('prune', { ...never, ...limits, stamp: this.story.stamp() });
  }

  pruneAll(limits: Partial<typeof never>): void {
    while (this.writer.read.prunable({ ...never, ...limits })) this.prune(limits);
  }

  output(id: InvocationId): string {
    return this.writer.read.events(flightOfInvocation(id), 0, 1e9).flatMap(({ body }) => (body.kind === 'output' ? [Buffer.from(body.bytes).toString()] : [])).join('');
  }
}

describe('pruning', () => {
  test('takes what the agent told of its work too, and the order keeps its places', () => {
    const work = new Work();
    const id = work.accept('task');
    work.run(id, 'output');
    work.think(id, 'a thought');
    expect(sums(work.writer)).toEqual({ said: 19, rows: 19, stored: 19 });
    work.finish(id);
    work.pruneAll({ outputsBeforeMs: Infinity });
    expect(sums(work.writer)).toEqual({ said: 0, rows: 0, stored: 0 });
    expect(work.writer.read.events(flightOfInvocation(id), 0, 1e9).map(({ seq, body }) => `${seq} ${body.kind}`)).toEqual(['1 started', '2 output', '3 unknown', '4 finished']);
  });

  test('takes task and output of old flights, leaves their records and says when', () => {
    const work = new Work();
    const id = work.accept('the task');
    work.run(id, 'some ', 'output');
    work.finish(id);
    const finishedAt = work.writer.read.flight(flightOfInvocation(id))?.finishedAtMs ?? 0;
    expect(work.writer.read.prunable({ ...never, outputsBeforeMs: finishedAt })).toBe(false);
    const limits = { outputsBeforeMs: finishedAt + 1 };
    expect(work.prune(limits)).toEqual({ outputs: 1, records: 0, bytes: 'the tasksome output'.length });
    expect(work.writer.read.prunable({ ...never, ...limits })).toBe(false);
    const flight = work.writer.read.flight(flightOfInvocation(id));
    expect(flight).toMatchObject({ state: 'completed', stdoutBytes: 11, lastSeq: 4, prunedAtMs: work.story.nowMs });
    expect(work.writer.read.task(id)).toBeUndefined();
    expect(work.output(id)).toBe('');
    expect(work.writer.read.events(flightOfInvocation(id), 0, 1e9).map((each: FlightEvent) => each.seq)).toEqual([1, 2, 3, 4]);
    expect(sums(work.writer)).toEqual({ said: 0, stored: 0, rows: 0 });
  });

  test('over the bound on bytes it takes the oldest, and no more than it must', () => {
    const work = new Work();
    const ids = Array.from({ length: 5 }, () => {
      const id = work.accept('x'.repeat(50));
      work.run(id, 'y'.repeat(50));
      work.finish(id);
      return id;
    });
    work.pruneAll({ mostBytes: 300 });
    expect(ids.map((id) => work.output(id).length)).toEqual([0, 0, 50, 50, 50]);
    expect(sums(work.writer)).toEqual({ said: 300, stored: 300, rows: 300 });
  });

  test('takes nothing of work that is open, or that its origin does not wholly know', () => {
    const work = new Work();
    const [queued, running, unacknowledged] = [work.accept(), work.accept(), work.receive()];
    work.run(running, 'out');
    work.run(unacknowledged, 'out');
    work.finish(unacknowledged);
    const all = { outputsBeforeMs: 1e15, mostBytes: 0, recordsBeforeMs: 1e15 };
    expect(work.writer.read.prunable(all)).toBe(false);
    expect(work.prune(all)).toEqual({ outputs: 0, records: 0, bytes: 0 });
    expect([queued, running, unacknowledged].map((id) => work.writer.read.task(id) !== undefined)).toEqual([true, true, true]);
    expect([running, unacknowledged].map((id) => work.output(id))).toEqual(['out', 'out']);
    work.acknowledge(unacknowledged);
    work.pruneAll(all);
    expect(work.writer.read.flight(flightOfInvocation(unacknowledged))).toBeUndefined();
  });

  test('one call is short: its rows and bytes are bounded, and what is larger takes several', () => {
    const work = new Work();
    const long = work.accept();
    work.run(long, ...Array.from({ length: 1000 }, () => 'z'));
    const large = work.accept();
    work.run(large, ...Array.from({ length: 200 }, () => 'z'.repeat(32 * 1024)));
    work.finish(long);
    work.finish(large);
    const changes = work.writer.db.prepare('SELECT total_changes()').pluck();
    let calls = 0;
    const limits = { outputsBeforeMs: 1e15, recordsBeforeMs: 1e15 };
    while (work.writer.read.prunable({ ...never, ...limits })) {
      const before = Number(changes.get());
      const { bytes } = work.prune(limits);
      expect(Number(changes.get()) - before).toBeLessThan(mostRows * 1.5);
      expect(bytes).toBeLessThanOrEqual(mostFreedBytes + 16 * 32 * 1024);
      calls += 1;
    }
    expect(calls).toBeGreaterThan(5);
    expect(work.writer.reading.prepare('SELECT count(*) FROM flight_events').pluck().get()).toBe(0);
    expect(sums(work.writer)).toEqual({ said: 0, stored: 0, rows: 0 });
  });

  test('output that comes after the pruning is counted, and pruned in its turn', () => {
    const work = new Work();
    const invocation = work.story.invocation({ origin: me, owner: other });
    const flightId = flightOfInvocation(invocation.id);
    work.write('accept', work.story.accept(invocation, { kind: 'send', attemptId: work.story.attemptId() }, { task: textTask('1234') }));
    work.write('endAtOrigin', { stamp: work.story.stamp(), flightId, outcome: { state: 'indeterminate' }, delivery: undefined, unlessSent: false });
    const limits = { outputsBeforeMs: 1e15 };
    work.pruneAll(limits);
    const events = [{ kind: 'started', run: 1 }, { kind: 'output', stream: 'stdout', bytes: utf8('late') }, { kind: 'finished', state: 'completed', exitCode: 0 }] as const;
    work.write('applyEvents', {
      stamp: work.story.stamp(), invocationId: invocation.id, fromNodeId: other, receivedAtMs: 1,
      events: events.map((body, index) => ({ seq: index + 1, ...work.story.stamp(), body })),
    });
    expect(work.writer.read.flight(flightId)).toMatchObject({ state: 'completed', stdoutBytes: 4 });
    expect(sums(work.writer)).toEqual({ said: 4, stored: 4, rows: 4 });
    expect(work.writer.read.prunable({ ...never, ...limits })).toBe(true);
    work.pruneAll(limits);
    expect(sums(work.writer)).toEqual({ said: 0, stored: 0, rows: 0 });
  });

  test('of a flight whose records are pruned it is still known that it was taken, and its key', () => {
    const work = new Work();
    const keyed = work.accept('a', 'key');
    work.run(keyed);
    work.finish(keyed);
    const invocation = work.story.invocation({ origin: other, owner: me });
    const again = () => request('receive', { stamp: work.story.stamp(), invocation, task: textTask(''), queueLimit: 9 });
    work.writer.commit(again());
    work.run(invocation.id);
    work.finish(invocation.id);
    work.acknowledge(invocation.id);
    work.pruneAll({ outputsBeforeMs: 1e15, recordsBeforeMs: 1e15 });
    const count = (table: string): unknown => work.writer.reading.prepare(`SELECT count(*) FROM ${table}`).pluck().get();
    for (const table of ['flights', 'invocations', 'deliveries', 'flight_events', 'payloads']) expect([table, count(table)]).toEqual([table, 0]);
    expect(count('events WHERE invocation_id IS NOT NULL')).toBe(0);
    expect(work.writer.reading.prepare('SELECT sum(count) FROM flight_counts').pluck().get()).toBe(0);
    expect(codeOf(work.writer.commit(again())[0])).toBe('conflict');
    const retry = work.story.accept(work.story.invocation({ origin: me, owner: me }), undefined, { key: 'key', task: textTask('a') });
    expect(codeOf(work.writer.commit(request('accept', retry))[0])).toBe('conflict');
    work.write('note', { stamp: work.story.stamp(), what: 'store.pruned' });
    expect(() => work.writer.db.exec('DELETE FROM events')).toThrow('facts are only removed by pruning');
  });
});

test('whatever is pruned and when, open work is whole, sums are exact, and a key is accepted once', () => {
  const step = fc.oneof(
    fc.record({ do: fc.constant('accept' as const), key: fc.option(fc.integer({ min: 0, max: 4 }), { nil: undefined }) }),
    fc.record({ do: fc.constantFrom('receive' as const) }),
    fc.record({ do: fc.constantFrom('run' as const, 'finish' as const, 'acknowledge' as const), which: fc.nat(30), bytes: fc.nat(40_000) }),
    fc.record({ do: fc.constant('prune' as const), ageMs: fc.nat(60), mostBytes: fc.nat(100_000), recordAgeMs: fc.nat(120) }),
  );
  fc.assert(fc.property(fc.array(step, { minLength: 20, maxLength: 80 }), (steps) => {
    const work = new Work();
    const known: { id: InvocationId; foreign: boolean; state: 'queued' | 'running' | 'over'; acknowledged: boolean; output: string; task: string }[] = [];
    const keys = new Map<number, InvocationId>();
    for (const each of steps) {
      if (each.do === 'accept') {
        const invocation = work.story.invocation({ origin: me, owner: me });
        const key = each.key === undefined ? {} : { key: `k${each.key}` };
        const answer = work.writer.commit(request('accept', work.story.accept(invocation, undefined, { task: textTask(`task of ${each.key}`), ...key })))[0];
        const first = each.key === undefined ? undefined : keys.get(each.key);
        if (first === undefined) {
          // Undefined: it was new.
          expect(valueOf(answer)).toBeUndefined();
          known.push({ id: invocation.id, foreign: false, state: 'queued', acknowledged: false, output: '', task: `task of ${each.key}` });
          if (each.key !== undefined) keys.set(each.key, invocation.id);
        } else if (work.writer.read.flight(flightOfInvocation(first)) === undefined) expect(codeOf(answer)).toBe('conflict');
        else expect(valueOf(answer)).toMatchObject({ invocationId: first });
      } else if (each.do === 'receive') {
        known.push({ id: work.receive('foreign'), foreign: true, state: 'queued', acknowledged: false, output: '', task: 'foreign' });
      } else if (each.do === 'prune') {
        work.prune({ outputsBeforeMs: work.story.nowMs - each.ageMs, mostBytes: each.mostBytes, recordsBeforeMs: work.story.nowMs - each.recordAgeMs });
      } else {
        const flight = known[each.which % Math.max(1, known.length)];
        if (flight === undefined) continue;
        if (each.do === 'run' && flight.state === 'queued') {
          flight.output = 'o'.repeat(Math.min(each.bytes, 32_768));
          work.run(flight.id, flight.output);
          flight.state = 'running';
        } else if (each.do === 'finish' && flight.state === 'running') {
          work.finish(flight.id);
          flight.state = 'over';
        } else if (each.do === 'acknowledge' && flight.state === 'over' && flight.foreign && !flight.acknowledged) {
          work.acknowledge(flight.id);
          flight.acknowledged = true;
        }
      }
      const { said, stored, rows } = sums(work.writer);
      expect([said, rows]).toEqual([stored, stored]);
    }
    for (const { id, state, foreign, acknowledged, output, task } of known) {
      if (state === 'over' && (!foreign || acknowledged)) continue;
      expect(work.writer.read.flight(flightOfInvocation(id))).toBeDefined();
      expect(Buffer.from(work.writer.read.task(id)?.text ?? []).toString()).toBe(task);
      expect(work.output(id)).toBe(output);
      expect(work.writer.reading.prepare('SELECT count(*) FROM events WHERE invocation_id = ?').pluck().get(id)).not.toBe(0);
    }
    expect(work.writer.reading.pragma('foreign_key_check')).toEqual([]);
  }), { numRuns: 20, interruptAfterTimeLimit: 40_000 });
}, 60_000);
