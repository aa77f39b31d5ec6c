import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { InvokeRequest } from '../../../src/gen/beckon/v1/invoke.ts';
import { Task } from '../../../src/gen/beckon/v1/record.ts';
import { ServeResponse } from '../../../src/gen/beckon/v1/serving.ts';
import { ByReferenceWriter } from '../../../src/rpc/by-reference.ts';
import { encodedTask, taskIn } from '../../../src/rpc/large-task.ts';
import { decodeTask, encodeTask } from '../../../src/rpc/work.ts';

/** Short ones, which are copied, and long ones, which are not. */
const bytes = fc.oneof(fc.uint8Array({ maxLength: 200 }), fc.integer({ min: 65_530, max: 200_000 }).map((length) => new Uint8Array(length).fill(length % 251)));
const task = fc.record({ text: bytes, files: fc.array(fc.record({ name: fc.string({ minLength: 1, maxLength: 300 }), bytes }), { maxLength: 4 }) });

describe('a large task on the wire', () => {
  test('is the same as that of the plain encoder, and is read as by the plain decoder', () => {
    fc.assert(
      fc.property(task, (each) => {
        const plain = Buffer.from(Task.encode(encodeTask(each)).finish());
        const encoded = encodedTask(each);
        expect(encoded.bytes).toBe(plain.length);
        expect(Buffer.concat(encoded.parts).equals(plain)).toBe(true);
        expect(taskIn(plain)).toEqual(decodeTask(Task.decode(plain)));
      }),
      { numRuns: 50 },
    );
  });

  test('is not copied to be encoded, nor to be read', () => {
    const text = new Uint8Array(1024 * 1024).fill(97);
    const { parts } = encodedTask({ text, files: [{ name: 'f', bytes: text }] });
    expect(parts.filter((part) => part.buffer === text.buffer).length).toBe(2);
    const message = Buffer.concat(parts);
    const read = taskIn(message);
    expect([read.text.buffer, read.files[0]?.bytes.buffer]).toEqual([message.buffer, message.buffer]);
  });

  test('in messages in messages is written as the plain encoder writes it', () => {
    const inner = encodeTask({ text: new Uint8Array(300_000).fill(98), files: [{ name: 'a', bytes: new Uint8Array(70_000) }, { name: 'b', bytes: new Uint8Array(3) }] });
    const served: ServeResponse = { frames: [
      { key: { flightId: 'flt_1', run: 1 }, frame: { $case: 'start', value: { invocationId: 'inv_1', task: inner, sessionId: undefined, sessionName: undefined, environment: { A: 'b' } } } },
      { key: { flightId: 'flt_2', run: 2 }, frame: { $case: 'start', value: { invocationId: 'inv_2', task: { text: Buffer.from('short'), files: [] }, sessionId: 'ses_1', sessionName: 'n', environment: {} } } },
    ] } as unknown as ServeResponse;
    const writer = new ByReferenceWriter();
    expect(Buffer.from(ServeResponse.encode(served, writer).finish()).equals(Buffer.from(ServeResponse.encode(served).finish()))).toBe(true);
    const asked = { ...InvokeRequest.decode(new Uint8Array(0)), task: inner };
    expect(Buffer.from(InvokeRequest.encode(asked, writer).finish()).equals(Buffer.from(InvokeRequest.encode(asked).finish()))).toBe(true);
  });

  test('skips what only a newer version knows, and refuses what is cut off', () => {
    const plain = Buffer.from(Task.encode(encodeTask({ text: new Uint8Array(10).fill(1), files: [] })).finish());
    const newer = Buffer.concat([Buffer.from([0x78, 0x05]), plain, Buffer.from([0x7a, 0x02, 1, 2])]);
    expect(taskIn(newer)).toEqual(decodeTask(Task.decode(newer)));
    expect(() => taskIn(plain.subarray(0, 6))).toThrow('premature EOF');
  });
});
