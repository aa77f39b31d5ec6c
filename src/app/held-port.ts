/**
 * Holds ports for a library that is loaded later, so that where it will listen can be told before it is. Whoever connects
 * meanwhile is hung up on.
 */
import { createServer } from 'node:net';
import type { AddressInfo, Server } from 'node:net';
import { BrokerError } from '../domain/errors.ts';
import { formatHostPort } from '../domain/host-port.ts';
import type { HostPort } from '../domain/host-port.ts';

export interface HeldPorts {
  /** As addresses, and with the ports that port 0 became. */
  readonly addresses: readonly HostPort[];
  /** Idempotent. */
  release(): Promise<void>;
}

/** @throws BrokerError `conflict` for a port that is taken, `unavailable` for an address that this machine does not have; none is held then */
export async function holdPorts(wanted: readonly HostPort[]): Promise<HeldPorts> {
  const servers: Server[] = [];
  const release = async (): Promise<void> => {
    await Promise.all(servers.splice(0).map((server) => new Promise<void>((resolve) => void server.close(() => resolve()))));
  };
  try {
    const addresses: HostPort[] = [];
    for (const each of wanted) {
      const server = await listening(each);
      servers.push(server);
      const { address, port } = server.address() as AddressInfo;
      addresses.push({ host: address, port });
    }
    return { addresses, release };
  } catch (error) {
    await release();
    throw error;
  }
}

function listening(at: HostPort): Promise<Server> {
  const server = createServer((socket) => socket.destroy());
  server.unref();
  return new Promise((resolve, reject) => {
    server.once('error', (error) => reject(listenError(at, error)));
    server.listen({ ...at, ipv6Only: true }, () => resolve(server));
  });
}

function listenError(at: HostPort, error: NodeJS.ErrnoException): BrokerError {
  const where = formatHostPort(at);
  const hint = 'choose another place for gossip: beckon up --gossip-listen HOST:PORT';
  if (error.code === 'EADDRINUSE') return new BrokerError('conflict', `${where} is taken by another program`, { hint, cause: error });
  const why = error.code === 'EADDRNOTAVAIL' ? 'this machine has no such address' : (error.code ?? error.message);
  return new BrokerError('unavailable', `cannot listen on ${where} for gossip: ${why}`, { hint, cause: error });
}
