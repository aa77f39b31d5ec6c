/** HTTP/2 changed as frames (RFC 9113): left out, doubled, out of order, of other types, flags and streams, with lengths that lie. */
import type { Dice } from '../../chaos/dice.ts';
import type { Mutate } from './boundary.ts';

export const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');

interface Frame {
  type: number;
  flags: number;
  stream: number;
  payload: Buffer;
  /** Written in place of the payload's. */
  length?: number;
}

const types = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 99];
const flags = [0, 1, 4, 5, 8, 0x20, 0x24, 0x25, 0xff];
const streams = [0, 1, 2, 3, 5, 7, 99, 2 ** 31 - 1];

/** @param inside changes the message of a DATA frame, behind the five bytes that gRPC puts in front of it */
export function http2Mutation(inside: Mutate): Mutate {
  return (input, dice, other) => {
    const hasPreface = Buffer.from(input).subarray(0, preface.length).equals(preface);
    const frames = read(Buffer.from(input).subarray(hasPreface ? preface.length : 0));
    const others = read(Buffer.from(other).subarray(preface.length));
    for (let steps = dice.between(1, 4); steps > 0; steps -= 1) step(frames, dice, others, inside);
    return Buffer.concat([dice.chance(0.01) ? preface.subarray(0, dice.between(0, 23)) : preface, ...frames.map(write)]);
  };
}

function read(bytes: Buffer): Frame[] {
  const frames: Frame[] = [];
  for (let at = 0; at + 9 <= bytes.length && frames.length < 200; ) {
    const length = bytes.readUIntBE(at, 3);
    frames.push({ type: bytes[at + 3] ?? 0, flags: bytes[at + 4] ?? 0, stream: bytes.readUInt32BE(at + 5), payload: Buffer.from(bytes.subarray(at + 9, at + 9 + length)) });
    at += 9 + length;
  }
  return frames;
}

function step(frames: Frame[], dice: Dice, others: readonly Frame[], inside: Mutate): void {
  if (frames.length === 0) frames.push({ type: 4, flags: 0, stream: 0, payload: Buffer.alloc(0) });
  const at = dice.between(0, frames.length - 1);
  const frame = frames[at];
  if (frame === undefined) return;
  const data = frames.filter(({ type, payload }) => type === 0 && payload.length >= 5);
  switch (dice.between(0, 11)) {
    case 0:
      frames.splice(at, 1);
      break;
    case 1:
      for (let times = dice.pick([1, 1, 3, 60]); times > 0; times -= 1) frames.splice(at, 0, structuredCloneOf(frame));
      break;
    case 2:
      if (others.length > 0) frames.splice(at, 0, structuredCloneOf(dice.pick(others)));
      break;
    case 3:
      frame.type = dice.pick(types);
      break;
    case 4:
      frame.flags = dice.pick(flags);
      break;
    case 5:
      frame.stream = dice.pick(streams);
      break;
    case 6:
      frame.length = dice.pick([0, 1, frame.payload.length + 1, 16_384, 16_385, 0xff_ffff]);
      break;
    case 7:
      if (frame.payload.length > 0) frame.payload[dice.between(0, frame.payload.length - 1)] = dice.between(0, 255);
      break;
    case 8:
      frame.payload = dice.pick([Buffer.alloc(0), Buffer.alloc(4, 0xff), Buffer.alloc(8), Buffer.alloc(6, 1), Buffer.alloc(16_384, 0x61), frame.payload.subarray(0, dice.between(0, frame.payload.length))]);
      break;
    default: {
      if (data.length === 0) break;
      const message = dice.pick(data);
      const changed = Buffer.from(inside(message.payload.subarray(5), dice, message.payload.subarray(5)));
      const head = Buffer.alloc(5);
      head.writeUInt8(dice.chance(0.05) ? dice.between(0, 255) : 0);
      head.writeUInt32BE(dice.chance(0.08) ? dice.pick([0, changed.length + 1, 0xffff_ffff, 4 * 1024 * 1024 + 1]) : changed.length, 1);
      message.payload = Buffer.concat([head, changed]).subarray(0, 16_384);
    }
  }
}

function structuredCloneOf(frame: Frame): Frame {
  return { ...frame, payload: Buffer.from(frame.payload) };
}

function write({ type, flags: bits, stream, payload, length = payload.length }: Frame): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(length, 0, 3);
  head.writeUInt8(type, 3);
  head.writeUInt8(bits, 4);
  head.writeUInt32BE(stream >>> 0, 5);
  return Buffer.concat([head, payload]);
}
