/** `host:port` as people type it and as tokens carry it: a DNS name, an IPv4 address, or an IPv6 address in brackets. */
import { invalid } from './errors.ts';

/** `host` is a DNS name or an IP address, without brackets; `port` is 0 only where a free one may be picked. */
export interface HostPort {
  readonly host: string;
  readonly port: number;
}

/** The port that nodes listen on unless told otherwise. */
export const meshPort = 7423;
/** And the one that they gossip on. */
export const gossipPort = 7424;
/** And the one where they tell metrics, when they are to. */
export const metricsPort = 7425;

/** How a node that runs is made to listen where others reach it; flags of `up` are for one that starts. */
export const listenElsewhere = `beckon down, then beckon up --detach --listen ADDRESS:${meshPort}`;

const ipv6 = /^(?=.*:)[0-9A-Fa-f:.]{2,45}(%[0-9A-Za-z._-]{1,15})?$/;
const nameOrIpv4 = /^(?=.{1,253}$)[0-9A-Za-z_]([0-9A-Za-z_-]{0,61}[0-9A-Za-z_])?(\.[0-9A-Za-z_]([0-9A-Za-z_-]{0,61}[0-9A-Za-z_])?)*\.?$/;

/**
 * @param defaultPort used when the text names none; without it a port is required.
 * @throws BrokerError `invalid`, saying what is wrong.
 */
export function parseHostPort(text: string, defaultPort?: number): HostPort {
  const wrong = (why: string) =>
    invalid(`${JSON.stringify(text.slice(0, 80))} is not host:port: ${why}`, 'for example laptop:7423 or [fd7a::1]:7423');
  const bracketed = /^\[([^[\]]*)\](?::(.*))?$/.exec(text);
  const plain = /^([^:[\]]*)(?::([^:]*))?$/.exec(text);
  const match = bracketed ?? plain;
  if (match === null) throw wrong(ipv6.test(text) ? 'put an IPv6 address in brackets' : 'it has more than one colon');
  const host = match[1] ?? '';
  if (bracketed !== null ? !ipv6.test(host) : !nameOrIpv4.test(host)) throw wrong('that is no host name or address');
  const digits = match[2];
  if (digits === undefined) {
    if (defaultPort === undefined) throw wrong('the port is missing');
    return { host, port: defaultPort };
  }
  const port = /^\d{1,5}$/.test(digits) ? Number(digits) : Number.NaN;
  if (!(port <= 65_535)) throw wrong('a port is a number from 0 to 65535');
  return { host, port };
}

/** What stands before the port, as it was written: with the brackets of an IPv6 address. All of a text without a port. */
export function hostOf(address: string): string {
  return address.replace(/:\d+$/, '');
}

/** Whether only this machine reaches it. */
export function isLoopback({ host }: HostPort): boolean {
  return host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host);
}

export function formatHostPort({ host, port }: HostPort): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}
