/** Reading single fields of a message. Each throws BrokerError `invalid`, naming the field. */
import { invalid } from '../domain/errors.ts';
import { isHlc } from '../domain/hlc.ts';
import type { Hlc } from '../domain/hlc.ts';
import { quoted } from '../domain/text.ts';

/** Characters of names, addresses, cursors and the like. */
const longestName = 1024;
/** Characters of messages and prompts. */
export const longestText = 64 * 1024;

/** A short text that must be there. */
export function name(value: string, field: string): string {
  if (value === '') throw invalid(`${field} is missing`);
  return text(value, field, longestName);
}

/** A text that may be empty. */
export function text(value: string, field: string, longest = longestText): string {
  if (value.length > longest) throw invalid(`${field} has ${value.length} characters, more than ${longest}`);
  return value;
}

/** The empty text stands for absent. */
export function optionalText(value: string, field: string): string | undefined {
  return value === '' ? undefined : text(value, field);
}

/** A whole number from 0 to 2^53 - 1: a count, a duration or a time in ms. */
export function whole(value: number, field: string): number {
  if (!Number.isSafeInteger(value) || value < 0) throw invalid(`${field} is not a whole number of 0 or more: ${value}`);
  return value;
}

export function optionalWhole(value: number | undefined, field: string): number | undefined {
  return value === undefined ? undefined : whole(value, field);
}

export function clockValue(value: string, field = 'hlc'): Hlc {
  if (!isHlc(value)) throw invalid(`${field} is not a clock value: ${quoted(value)}`);
  return value;
}

/** An id, told by its test: `id(isInvocationId, message.id, 'invocation id')`. */
export function id<Id extends string>(test: (text: string) => text is Id, value: string, field: string): Id {
  if (!test(value)) throw invalid(`${field} is not an id of that kind: ${quoted(value, 70)}`);
  return value;
}

export function optionalId<Id extends string>(
  test: (text: string) => text is Id,
  value: string,
  field: string,
): Id | undefined {
  return value === '' ? undefined : id(test, value, field);
}

/** A message field that must be there. */
export function required<Message>(value: Message | undefined, field: string): Message {
  if (value === undefined) throw invalid(`${field} is missing`);
  return value;
}

/** A list of at most `most`. */
export function list<Item>(items: readonly Item[], field: string, most: number): readonly Item[] {
  if (items.length > most) throw invalid(`${field} has ${items.length} entries, more than ${most}`);
  return items;
}

/** A map of short names to texts. */
export function texts(map: Readonly<Record<string, string>>, field: string, most = 100): Record<string, string> {
  const entries = list(Object.entries(map), field, most);
  return Object.fromEntries(entries.map(([key, value]) => [name(key, field), text(value, field)]));
}

/** Without the keys whose value is undefined: an absent field is absent. */
export function present<Fields extends object>(
  fields: Fields,
): { [Key in keyof Fields]?: Exclude<Fields[Key], undefined> } {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as {
    [Key in keyof Fields]?: Exclude<Fields[Key], undefined>;
  };
}

/** The same memory as the generated code's Buffer, and back; nothing is copied. */
export function bytes(buffer: Uint8Array): Uint8Array {
  return new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength);
}

export function buffer(content: Uint8Array): Buffer {
  return Buffer.from(content.buffer, content.byteOffset, content.byteLength);
}
