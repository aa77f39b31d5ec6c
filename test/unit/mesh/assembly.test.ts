import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { encodeHlc } from '../../../src/domain/hlc.ts';
import type { InvocationId } from '../../../src/domain/ids.ts';
import { Task } from '../../../src/gen/beckon/v1/record.ts';
import { Assembly, largestEncodedTask, largestPiece } from '../../../src/mesh/assembly.ts';
import type { Assembled } from '../../../src/mesh/assembly.ts';
import type { ForwardHead, Piece } from '../../../src/mesh/control-frames.ts';
import { encodeTask } from '../../../src/rpc/work.ts';
import * as samples from '../rpc/samples.ts';

const [invocation, other] = fc.sample(samples.invocation, { numRuns: 2, seed: 3 });
if (invocation === undefined || other === undefined) throw new Error('no samples');
const hlc = encodeHlc({ ms: 1, counter: 1 });
const task = { text: Uint8Array.from({ length: 100_000 }, (_, index) => index % 253), files: [] };
const encoded = Task.encode(encodeTask(task)).finish();
const head: ForwardHead = { invocation, attempt: 1, hlc, taskBytes: encoded.length };

function pieces(id: InvocationId, content: Uint8Array, size = largestPiece): Piece[] {
  const all: Piece[] = [];
  for (let offset = 0; offset < content.length; offset += size) all.push({ invocationId: id, offset, content: content.subarray(offset, offset + size) });
  return all;
}
const invalid = expect.objectContaining({ code: 'invalid' }) as Error;

describe('a task in pieces', () => {
  test('is whole whenever its head comes, and takes along what was said meanwhile', () => {
    const cancel = { type: 'cancel', invocationId: invocation.id, hlc } as const;
    const all = pieces(invocation.id, encoded);
    for (let at = 0; at <= all.length; at += 1) {
      const assembly = new Assembly();
      const results: (Assembled | undefined)[] = [];
      all.forEach((piece, index) => {
        if (index === at) results.push(assembly.announce(head));
        results.push(assembly.add(piece));
        if (index === 0) expect(assembly.hold(invocation.id, cancel)).toBe(true);
      });
      if (at === all.length) results.push(assembly.announce(head));
      const done = results.filter((result) => result !== undefined);
      expect(done).toEqual([{ forward: { type: 'forward', invocation, task, attempt: 1, hlc }, bytes: encoded.length, held: [cancel] }]);
      expect(results.at(-1)).toBe(done[0]);
      expect(assembly.hold(invocation.id, cancel)).toBe(false);
    }
  });

  test('holds back nothing about other invocations', () => {
    const assembly = new Assembly();
    assembly.announce(head);
    expect(assembly.hold(other.id, { type: 'cancel', invocationId: other.id, hlc })).toBe(false);
  });

  test('that is announced once more while it is on its way comes twice, and ends no session', () => {
    const assembly = new Assembly();
    const all = pieces(invocation.id, encoded);
    assembly.announce(head);
    expect(all.slice(0, 2).map((piece) => assembly.add(piece))).toEqual([undefined, undefined]);
    expect(assembly.announce({ ...head, attempt: 2 })).toBeUndefined();
    expect(all.slice(2).map((piece) => assembly.add(piece)).at(-1)).toMatchObject({ forward: { attempt: 1 } });
    expect(all.map((piece) => assembly.add(piece)).at(-1)).toMatchObject({ forward: { attempt: 2 } });
    expect(assembly.expects(invocation.id)).toBe(false);
  });

  test.each<[string, (assembly: Assembly) => unknown]>([
    ['a gap', (assembly) => assembly.add({ invocationId: invocation.id, offset: 5, content: encoded.subarray(5, 10) })],
    ['a piece twice', (assembly) => pieces(invocation.id, encoded).slice(0, 1).forEach((piece) => (assembly.add(piece), assembly.add(piece)))],
    ['more bytes than announced', (assembly) => (assembly.announce({ ...head, taskBytes: 10 }), assembly.add({ invocationId: invocation.id, offset: 0, content: encoded.subarray(0, 11) }))],
    ['two heads that differ', (assembly) => (assembly.announce(head), assembly.announce({ ...head, taskBytes: head.taskBytes + 1 }))],
    ['megabytes about a task that has not arrived', (assembly) => (assembly.announce(head), Array.from({ length: 5 }, () => assembly.hold(invocation.id, { type: 'cancel', invocationId: invocation.id, hlc }, 1024 * 1024)))],
    ['nothing announced', (assembly) => assembly.announce({ ...head, taskBytes: 0 })],
    ['more announced than any task may have', (assembly) => assembly.announce({ ...head, taskBytes: largestEncodedTask + 1 })],
    ['a piece that is too large', (assembly) => assembly.add({ invocationId: invocation.id, offset: 0, content: new Uint8Array(largestPiece + 1) })],
    ['bytes that are no task', (assembly) => (assembly.announce({ ...head, taskBytes: 3 }), assembly.add({ invocationId: invocation.id, offset: 0, content: Uint8Array.of(0x0a, 0x7f, 1) }))],
    [
      'pieces without end of tasks that were never announced',
      (assembly) => {
        const content = new Uint8Array(largestPiece);
        for (let offset = 0; offset < 3 * largestEncodedTask; offset += content.length) assembly.add({ invocationId: invocation.id, offset, content });
      },
    ],
  ])('%s is refused', (_what, misuse) => {
    expect(() => misuse(new Assembly())).toThrow(_what === 'bytes that are no task' ? Error : invalid);
  });
});
