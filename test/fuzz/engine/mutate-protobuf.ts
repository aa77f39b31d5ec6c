/** Protobuf changed as its schema has it: fields taken away, doubled, moved, bent, and made from nothing; and fields of nobody's schema. */
import { fromBinary } from '@bufbuild/protobuf';
import { FieldDescriptorProto_Label, FieldDescriptorProto_Type, FileDescriptorProtoSchema } from '@bufbuild/protobuf/wkt';
import type { DescriptorProto, FieldDescriptorProto } from '@bufbuild/protobuf/wkt';
import { descriptors } from '../../../src/gen/descriptors.ts';
import type { Dice } from '../../chaos/dice.ts';
import type { Mutate } from './boundary.ts';
import { varint } from './mutate.ts';

interface Field {
  number: number;
  wire: number;
  /** As it stands behind the tag, without the length. */
  content: Uint8Array;
  inside?: { readonly type: string; fields: Field[] };
}

const messages = new Map<string, ReadonlyMap<number, FieldDescriptorProto>>();
for (const file of Object.values(descriptors)) {
  const { package: scope, messageType } = fromBinary(FileDescriptorProtoSchema, Buffer.from(file, 'base64'));
  const enter = (around: string, all: readonly DescriptorProto[]): void => {
    for (const each of all) {
      messages.set(`${around}.${each.name}`, new Map(each.field.map((field) => [field.number, field])));
      enter(`${around}.${each.name}`, each.nestedType);
    }
  };
  enter(`.${scope}`, messageType);
}

const integers = [0n, 1n, 2n, 3n, 7n, 127n, 128n, 255n, 300n, 65_535n, 1_000_000n, 2n ** 31n - 1n, 2n ** 31n, 2n ** 32n - 1n, 2n ** 53n - 1n, 2n ** 53n, 2n ** 53n + 1n, 2n ** 63n - 1n, 2n ** 63n, 2n ** 64n - 1n, 1_780_000_000_000n];
const texts = ['', 'a', '@fabric@laptop#main', 'laptop', '\0', '\u001b[2J', '\u202e', '../../etc/passwd', 'x'.repeat(300), 'y'.repeat(5000), '\ud83d', '019e6d4e1c00-0003', 'ffffffffffff-ffff', 'inv_01J9Z6M3T4V8Q2X7K5B1C0D9EF', 'flt_01J9Z6M3T4V8Q2X7K5B1C0D9EF', 'last', '100.64.0.1:7423', '__proto__', 'constructor'];
const mostInside = 400;

/** @param name of the message, `beckon.v1.ControlRequest` @param words texts that mean something in it */
export function protobufMutation(name: string, words: readonly string[] = []): Mutate {
  const type = `.${name}`;
  if (!messages.has(type)) throw new Error(`no message is called ${name}`);
  return (input, dice, other) => {
    const root: Field = { number: 0, wire: 2, content: input, inside: { type, fields: read(input, type, 0) } };
    const stock = all({ ...root, inside: { type, fields: read(other, type, 0) } });
    for (let steps = dice.between(1, 4); steps > 0; steps -= 1) step(root, dice, stock, [...texts, ...words]);
    return Buffer.concat((root.inside?.fields ?? []).map((each) => write(each, dice)));
  };
}

function read(bytes: Uint8Array, type: string, depth: number): Field[] {
  const fields: Field[] = [];
  const schema = messages.get(type);
  let at = 0;
  const number = (): bigint => {
    let value = 0n;
    for (let shift = 0n; at < bytes.length; shift += 7n) {
      const byte = bytes[at] ?? 0;
      at += 1;
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80 || shift > 63n) break;
    }
    return value;
  };
  while (at < bytes.length && fields.length < mostInside) {
    const tag = Number(number() & 0xffff_ffffn);
    const wire = tag & 7;
    const from = at;
    if (wire === 0) number();
    else if (wire === 1) at += 8;
    else if (wire === 5) at += 4;
    else if (wire !== 2) break;
    const length = wire === 2 ? Number(number() & 0xff_ffffn) : 0;
    const start = wire === 2 ? at : from;
    at = wire === 2 ? at + length : at;
    const content = bytes.subarray(start, at);
    const described = schema?.get(tag >>> 3);
    const inner = described?.type === FieldDescriptorProto_Type.MESSAGE && wire === 2 && depth < 12 ? described.typeName : undefined;
    fields.push({ number: tag >>> 3, wire, content, ...(inner === undefined ? {} : { inside: { type: inner, fields: read(content, inner, depth + 1) } }) });
  }
  return fields;
}

/** All that hold fields, the outermost first. */
function all(field: Field): Field[] {
  return [field, ...(field.inside?.fields ?? []).flatMap((each) => (each.inside === undefined ? [] : all(each)))];
}

function step(root: Field, dice: Dice, stock: readonly Field[], words: readonly string[]): void {
  const { inside } = dice.pick(all(root));
  if (inside === undefined) return;
  const { fields, type } = inside;
  const at = dice.between(0, Math.max(0, fields.length - 1));
  const field = fields[at];
  const described = field === undefined ? undefined : messages.get(type)?.get(field.number);
  switch (dice.between(0, 9)) {
    case 0:
      fields.splice(at, 1);
      break;
    case 1:
      if (field !== undefined) for (let times = dice.pick([1, 1, 1, 40]); times > 0; times -= 1) fields.splice(at, 0, structuredClone(field));
      break;
    case 2:
    case 3:
    case 4:
      if (field !== undefined && described !== undefined && field.inside === undefined) fields[at] = made(described, dice, words, 3);
      else if (field !== undefined) field.content = bent(field.content, dice);
      break;
    case 5: {
      // Of the same message in another input.
      const like = stock.filter((each) => each.inside?.type === type).flatMap((each) => each.inside?.fields ?? []);
      if (like.length > 0) fields.splice(at, dice.between(0, 1), structuredClone(dice.pick(like)));
      break;
    }
    case 6: {
      const known = [...(messages.get(type)?.values() ?? [])];
      if (known.length > 0) fields.splice(at, 0, made(dice.pick(known), dice, words, 3));
      break;
    }
    case 7:
      fields.splice(at, 0, { number: dice.pick([1, 99, 1000, 2 ** 29 - 1]), wire: dice.pick([0, 1, 2, 3, 4, 5]), content: varint(dice.pick(integers)) });
      break;
    case 8:
      if (field !== undefined && field.inside === undefined) field.content = bent(field.content, dice);
      break;
    default:
      fields.reverse();
  }
}

function made(described: FieldDescriptorProto, dice: Dice, words: readonly string[], depth: number): Field {
  const { number, type, typeName } = described;
  const types = FieldDescriptorProto_Type;
  const repeated = described.label === FieldDescriptorProto_Label.REPEATED;
  switch (type) {
    case types.MESSAGE: {
      const known = [...(messages.get(typeName)?.values() ?? [])];
      const fields = depth === 0 ? [] : known.filter(() => dice.chance(0.6)).map((each) => made(each, dice, words, depth - 1));
      return { number, wire: 2, content: new Uint8Array(0), inside: { type: typeName, fields } };
    }
    case types.STRING:
      return { number, wire: 2, content: dice.chance(0.03) ? Buffer.from([0xff, 0xfe, 0x41]) : Buffer.from(dice.pick(words)) };
    case types.BYTES:
      return { number, wire: 2, content: Buffer.alloc(dice.pick([0, 1, 8, 16, 32, 64, 100, 2000]), dice.between(0, 255)) };
    case types.DOUBLE: {
      const content = Buffer.alloc(8);
      content.writeDoubleLE(dice.pick([0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 1e308]));
      return { number, wire: 1, content };
    }
    case types.ENUM:
      return { number, wire: 0, content: varint(BigInt(dice.pick([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 100, -1]))) };
    case types.BOOL:
      return { number, wire: 0, content: varint(BigInt(dice.between(0, 2))) };
    default: {
      const content = varint(dice.pick(integers));
      return repeated && dice.chance(0.5) ? { number, wire: 2, content: Buffer.concat([content, content]) } : { number, wire: 0, content };
    }
  }
}

function bent(bytes: Uint8Array, dice: Dice): Uint8Array {
  if (bytes.length === 0) return Buffer.from([dice.between(0, 127)]);
  const copy = Buffer.from(bytes);
  const at = dice.between(0, copy.length - 1);
  if (dice.chance(0.3)) return copy.subarray(0, at);
  copy[at] = dice.between(0, 255);
  return copy;
}

function write({ number, wire, content, inside }: Field, dice: Dice): Buffer {
  const bytes = inside === undefined ? Buffer.from(content) : Buffer.concat(inside.fields.map((each) => write(each, dice)));
  const tag = varint((BigInt(number) << 3n) | BigInt(wire));
  if (wire !== 2) return Buffer.concat([tag, bytes]);
  const length = dice.chance(0.004) ? dice.pick([0, bytes.length + 1, 2 ** 31 - 1, 2 ** 32]) : bytes.length;
  return Buffer.concat([tag, varint(BigInt(length)), bytes]);
}
