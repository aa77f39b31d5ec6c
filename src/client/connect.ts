/** Finding this machine's node and opening a connection to it. */
import { connect as open } from 'node:net';
import { BrokerError, denied, unavailable } from '../domain/errors.ts';
import { GrpcNodeClient } from './grpc-client.ts';
import { refuseForeignSocket } from './socket-owner.ts';
import type { NodeClient } from './types.ts';

export interface ConnectOptions {
  /** The node's control socket. */
  readonly socketPath: string;
  /** The wall clock, ms. Without it no call has a deadline. */
  readonly now?: () => number;
  /** `BECKON_TOKEN` of the environment, in a process of a flight: what it invokes is then known to come of that flight. */
  readonly flightToken?: string;
}

export function noNodeHere(cause?: unknown): BrokerError {
  return new BrokerError('unavailable', 'no node is running here', { hint: 'start one: beckon up --detach', cause });
}

/** @throws BrokerError `unavailable` when no node listens there, `denied` when it is another user's, or could be */
export async function connect({ socketPath, now, flightToken }: ConnectOptions): Promise<NodeClient> {
  await knock(socketPath);
  return new GrpcNodeClient(socketPath, now, flightToken);
}

/** A plain connection first: it tells in a moment, and in plain words, what a gRPC channel would retry on. @throws as `connect` does */
export async function knock(path: string): Promise<void> {
  await refuseForeignSocket(path);
  await new Promise<void>((resolve, reject) => {
    const socket = open(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve();
    });
    socket.once('error', (error: NodeJS.ErrnoException) => {
      socket.destroy();
      if (error.code === 'ENOENT' || error.code === 'ECONNREFUSED' || error.code === 'ENOTDIR') reject(noNodeHere(error));
      else if (error.code === 'EACCES' || error.code === 'EPERM') reject(denied(`the control socket ${path} is not yours to open`, 'run beckon as the user whose node it is'));
      else reject(unavailable(`the control socket ${path} can’t be opened: ${error.code ?? error.message}`, 'is BECKON_HOME right?'));
    });
  });
}
