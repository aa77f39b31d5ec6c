/** Where the network port listens, and under which addresses others can reach it. */
import { networkInterfaces } from 'node:os';
import { isIP } from 'node:net';
import { parseHostPort } from '../domain/host-port.ts';
import type { HostPort } from '../domain/host-port.ts';

export const meshPort = 7423;

/** @throws BrokerError `invalid` for one that is no host:port */
export function listenAddresses(flags: readonly string[] | undefined): readonly HostPort[] {
  if (flags === undefined || flags.length === 0) return [{ host: '127.0.0.1', port: meshPort }];
  return flags.map((each) => parseHostPort(each, meshPort));
}

/** Addresses bound to all interfaces become one for each interface that is not loopback. */
export function reachableAddresses(bound: readonly HostPort[]): readonly HostPort[] {
  const all = bound.flatMap(({ host, port }) => {
    if (host !== '0.0.0.0' && host !== '::') return [{ host, port }];
    const interfaces = Object.values(networkInterfaces()).flatMap((each) => each ?? []);
    const usable = interfaces.filter((each) => !each.internal && (host === '::' || each.family === 'IPv4') && !each.address.startsWith('fe80:'));
    return usable.length > 0 ? usable.map((each) => ({ host: each.address, port })) : [{ host: '127.0.0.1', port }];
  });
  return all.slice(0, 32);
}

export function isLoopback({ host }: HostPort): boolean {
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));
}
