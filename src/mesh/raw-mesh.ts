/** The mesh service with messages as raw bytes: a session decodes them itself, so that it can answer for what is wrong. */
import { makeGenericClientConstructor } from '@grpc/grpc-js';
import type { ChannelOptions, ServiceDefinition } from '@grpc/grpc-js';
import { MeshServiceService } from '../gen/beckon/v1/mesh.ts';
import { rawStream } from '../rpc/raw-stream.ts';
import { largestMessage } from './frame-stream.ts';

export const rawMesh = {
  control: rawStream(MeshServiceService.control.path),
  data: rawStream(MeshServiceService.data.path),
} satisfies ServiceDefinition;

export const RawClient = makeGenericClientConstructor(rawMesh, 'beckon.v1.MeshService');

/**
 * What a sender may have on the wire unread, a stream and a connection, bytes: what can stand in front of a heartbeat.
 * At 20 ms round trip that is about 10 MB/s.
 */
export const windowBytes = 256 * 1024;

export const messageLimits: ChannelOptions = {
  'grpc.max_receive_message_length': largestMessage,
  'grpc.max_send_message_length': largestMessage,
};
