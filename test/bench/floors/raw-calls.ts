/** The two calls of the floors, without any encoding. */
import { makeGenericClientConstructor } from '@grpc/grpc-js';
import type { ServiceDefinition } from '@grpc/grpc-js';

const same = (bytes: Buffer): Buffer => bytes;
const raw = { requestSerialize: same, requestDeserialize: same, responseSerialize: same, responseDeserialize: same };

export const rawCalls = {
  stream: { path: '/floor.Floor/Stream', requestStream: true, responseStream: true, ...raw },
  unary: { path: '/floor.Floor/Unary', requestStream: false, responseStream: false, ...raw },
} as const satisfies ServiceDefinition;

export const RawCalls = makeGenericClientConstructor(rawCalls, 'floor.Floor');

/** Of one request, bytes. */
export const messageBytes = 512;
