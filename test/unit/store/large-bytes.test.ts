import { describe, expect, test } from 'vitest';
import { flightOfInvocation } from '../../../src/domain/ids.ts';
import type { InvocationId } from '../../../src/domain/ids.ts';
import type { Task } from '../../../src/domain/invocation.ts';
import { mostInRow } from '../../../src/store/large-bytes.ts';
import { nodeIdFor, Story } from '../../support/temp-store.ts';
import type { Answer } from '../../../src/store/protocol.ts';
import { request, scratchWriter } from './scratch.ts';

const me = nodeIdFor(1);
const bytes = (length: number, fill: number): Uint8Array => new Uint8Array(length).fill(fill);
const long = mostInRow * 50;

function valueOf(answer: Answer | undefined): unknown {
  if (answer === undefined || 'error' in answer) throw new Error(JSON.stringify(answer));
  return answer.value;
}

class Work {
  readonly writer = scratchWriter(me);
  readonly story = new Story();

  write(name: Parameters<typeof request>[0], input: any): any {
    return valueOf(this.writer.commit(request(name, input))[0]);
  }

  accept(task: Task): InvocationId {
    const invocation = this.story.invocation({ origin: me, owner: me });
    this.write('accept', this.story.accept(invocation, { kind: 'local', queueLimit: 1e9 }, { task }));
    return invocation.id;
  }

  complete(id: InvocationId, output: Uint8Array): void {
    const flightId = flightOfInvocation(id);
    this.write('start', { stamp: this.story.stamp(), flightId });
    this.write('appendOutput', { flightId, chunks: [{ stream: 'stdout', bytes: output, stamp: this.story.stamp() }] });
    this.write('finish', { stamp: this.story.stamp(), flightId, outcome: { state: 'completed', exitCode: 0 } });
  }

  output(id: InvocationId): readonly Uint8Array[] {
    return this.writer.read.events(flightOfInvocation(id), 0, 1e9).flatMap(({ body }) => (body.kind === 'output' ? [new Uint8Array(body.bytes)] : []));
  }

  number(sql: string): number {
    return Number(this.writer.reading.prepare(sql).pluck().get());
  }

  get bytesElsewhere(): number {
    return this.number('SELECT coalesce(sum(length(bytes)), 0) FROM large_bytes');
  }
}

describe('long bytes', () => {
  test('are read as they were written, whichever side of the bound they are', () => {
    const work = new Work();
    for (const length of [0, 1, mostInRow, mostInRow + 1, long]) {
      const task = { text: bytes(length, 97), files: [{ name: 'short', bytes: bytes(3, 98) }, { name: 'long', bytes: bytes(length, 99) }] };
      const id = work.accept(task);
      work.complete(id, bytes(length, 100));
      const read = work.writer.read.task(id);
      expect([read?.text, ...(read?.files ?? []).map((each) => each.bytes)].map((each) => Buffer.from(each ?? []).toString())).toEqual(
        [task.text, ...task.files.map((each) => each.bytes)].map((each) => Buffer.from(each).toString()),
      );
      expect(work.writer.read.taskBytes(id)).toBe(2 * length + 3);
      expect(work.output(id)).toEqual([bytes(length, 100)]);
    }
    expect(work.bytesElsewhere).toBe(3 * (mostInRow + 1 + long));
  });

  test('are in no row that is found by its key: who looks for a short one beside them reads nothing of them', () => {
    const work = new Work();
    const id = work.accept({ text: bytes(long, 97), files: [{ name: 'f', bytes: bytes(long, 98) }] });
    work.complete(id, bytes(long, 99));
    const longest = work.number(`SELECT max(n) FROM (
      SELECT length(text) AS n FROM payloads UNION ALL SELECT length(bytes) FROM payload_files UNION ALL SELECT length(bytes) FROM flight_events)`);
    expect(longest).toBeLessThanOrEqual(mostInRow);
    expect(work.number("SELECT count(*) FROM sqlite_schema WHERE name = 'large_bytes' AND sql LIKE '%WITHOUT ROWID%'")).toBe(0);
  });

  test('go with what they belong to, and the sums with them', () => {
    const work = new Work();
    const id = work.accept({ text: bytes(long, 97), files: [{ name: 'f', bytes: bytes(long, 98) }] });
    work.complete(id, bytes(long, 99));
    expect(work.number('SELECT bytes FROM stored_sum')).toBe(3 * long);
    const limits = { outputsBeforeMs: 1e15, mostBytes: 1e15, recordsBeforeMs: 0 };
    while (work.writer.read.prunable(limits)) work.write('prune', { ...limits, stamp: work.story.stamp() });
    expect(work.bytesElsewhere).toBe(0);
    expect(work.number('SELECT bytes FROM stored_sum')).toBe(0);
    expect(work.output(id)).toEqual([new Uint8Array(0)]);
    const all = { ...limits, recordsBeforeMs: 1e15 };
    while (work.writer.read.prunable(all)) work.write('prune', { ...all, stamp: work.story.stamp() });
    expect(work.number('SELECT count(*) FROM flights')).toBe(0);
  });

  test('of a row that an older version wrote are read and removed as before', () => {
    const work = new Work();
    const id = work.accept({ text: bytes(3, 97), files: [] });
    work.complete(id, bytes(3, 99));
    work.writer.db.prepare('UPDATE payloads SET text = ?').run(bytes(long, 97));
    work.writer.db.prepare("UPDATE flight_events SET bytes = ? WHERE kind = 'output'").run(bytes(long, 99));
    expect(work.writer.read.taskBytes(id)).toBe(long);
    expect(work.writer.read.task(id)?.text.length).toBe(long);
    expect(work.output(id)).toEqual([bytes(long, 99)]);
    const limits = { outputsBeforeMs: 1e15, mostBytes: 1e15, recordsBeforeMs: 0 };
    while (work.writer.read.prunable(limits)) work.write('prune', { ...limits, stamp: work.story.stamp() });
    expect(work.writer.read.task(id)).toBeUndefined();
    expect(work.output(id)).toEqual([new Uint8Array(0)]);
  });
});
