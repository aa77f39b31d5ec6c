/** How an address is reached: directly, or by whoever wires this node, through a socket of this machine. */
import { connect } from 'node:net';
import { unavailable } from '../domain/errors.ts';
import type { BrokerError } from '../domain/errors.ts';
import { parseHostPort } from '../domain/host-port.ts';
import type { Clock } from '../domain/ports.ts';
import { dialError, silentError } from './dial-fault.ts';

export interface RouteOptions {
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** First sees, for so long, whether anything answers there at all. Others wait for their turn. */
  readonly lookMs?: number;
}

export interface Way {
  /** host:port, or `unix:` and the path of a socket that leads there, for one connection. */
  readonly target: string;
  /** Called once, when the connection is made or given up. */
  close(): void;
}

/** @throws BrokerError `unavailable`, saying why there is no way */
export type Route = (address: string, options: RouteOptions) => Promise<Way>;

export const directly: Route = async (address, { clock, signal, lookMs }) => {
  if (lookMs !== undefined) await look(address, lookMs, clock, signal);
  return { target: address, close: () => undefined };
};

/** A TCP connection, closed as soon as it is there. @throws BrokerError `unavailable` */
function look(address: string, timeoutMs: number, clock: Clock, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const { host, port } = parseHostPort(address);
    const socket = connect({ host, port });
    const end = (failure?: BrokerError): void => {
      cancelTimer();
      signal.removeEventListener('abort', onAbort);
      socket.destroy();
      if (failure === undefined) resolve();
      else reject(failure);
    };
    const onAbort = (): void => end(unavailable('this node is stopping'));
    const cancelTimer = clock.setTimer(timeoutMs, () => end(silentError(address)));
    signal.addEventListener('abort', onAbort, { once: true });
    socket.once('connect', () => end());
    socket.on('error', (error: NodeJS.ErrnoException) => end(dialError(address, error.code ?? error.message, error)));
    if (signal.aborted) onAbort();
  });
}
