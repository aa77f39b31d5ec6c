/** A task of megabytes as one encoded message, and back, without copies of its bytes. */
import { BinaryReader } from '@bufbuild/protobuf/wire';
import type { Task } from '../domain/invocation.ts';
import { Task as WireTask } from '../gen/beckon/v1/record.ts';
import type { TaskFile } from '../gen/beckon/v1/record.ts';
import { ByReferenceWriter, lengthOf } from './by-reference.ts';
import { buffer } from './fields.ts';
import { decodeTask, encodeTask } from './work.ts';

export interface EncodedTask {
  readonly bytes: number;
  readonly parts: readonly Uint8Array[];
}

/** The parts are the task's own bytes and what stands between them. */
export function encodedTask(task: Task): EncodedTask {
  const writer = new ByReferenceWriter();
  WireTask.encode(encodeTask(task), writer);
  const parts = writer.parts();
  return { bytes: lengthOf(parts), parts };
}

const [textTag, fileTag, nameTag, contentTag] = [10, 18, 10, 18];

/**
 * As the generated decoder, which copies what it finds: here the task's bytes are those of the message, and stay theirs.
 * @throws BrokerError `invalid`
 */
export function taskIn(encoded: Uint8Array): Task {
  const task: WireTask = { text: Buffer.alloc(0), files: [] };
  const reader = new BinaryReader(encoded);
  while (reader.pos < reader.len) {
    const tag = reader.uint32();
    if (tag === textTag) task.text = buffer(reader.bytes());
    else if (tag === fileTag) task.files.push(fileIn(reader.bytes()));
    else reader.skip(tag & 7, tag >>> 3);
  }
  return decodeTask(task);
}

function fileIn(encoded: Uint8Array): TaskFile {
  const file: TaskFile = { name: '', content: Buffer.alloc(0) };
  const reader = new BinaryReader(encoded);
  while (reader.pos < reader.len) {
    const tag = reader.uint32();
    if (tag === nameTag) file.name = reader.string();
    else if (tag === contentTag) file.content = buffer(reader.bytes());
    else reader.skip(tag & 7, tag >>> 3);
  }
  return file;
}
