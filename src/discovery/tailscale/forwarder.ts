/** A way to a machine of the tailnet where no network interface leads there: through tailscaled, behind a socket file. */
import { randomBytes } from 'node:crypto';
import { createServer } from 'node:net';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { BrokerError } from '../../domain/errors.ts';
import type { HostPort } from '../../domain/host-port.ts';
import type { Tailnet } from './tailnet.ts';

export interface ForwardOptions {
  /** This user's alone: whoever can open the socket in it gets the connection. */
  readonly directory: string;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

export interface Forward {
  /** For one connection. */
  readonly path: string;
  /** Ends the offer; a connection that was made stays. */
  close(): void;
}

/** @throws BrokerError `unavailable`, with tailscaled's own word for why nobody answers there */
export async function forward(tailnet: Pick<Tailnet, 'dial'>, address: HostPort, { directory, timeoutMs, signal }: ForwardOptions): Promise<Forward> {
  const upstream = await tailnet.dial(address, { timeoutMs, signal });
  // An error is followed by close, which is what is acted on.
  upstream.on('error', () => undefined);
  let isTaken = false;
  // As long as the name of the control socket beside it.
  const path = join(directory, `${randomBytes(4).toString('hex')}.out`);
  const server = createServer((socket) => {
    if (isTaken) return void socket.destroy();
    isTaken = true;
    server.close();
    splice(socket, upstream);
  });
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(path, resolve);
    });
  } catch (error) {
    upstream.destroy();
    throw new BrokerError('unavailable', `no socket can be made at ${path}`, { cause: error });
  }
  upstream.once('close', () => server.close());
  return {
    path,
    close: () => {
      server.close();
      if (!isTaken) upstream.destroy();
    },
  };
}

function splice(socket: Socket, upstream: Duplex): void {
  socket.on('error', () => undefined);
  socket.pipe(upstream).pipe(socket);
  socket.once('close', () => upstream.destroy());
  upstream.once('close', () => socket.destroy());
}
