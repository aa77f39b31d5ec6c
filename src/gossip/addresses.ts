/** host:port as multiaddrs have it, and back. */
import { isIP } from 'node:net';
import type { HostPort } from '../domain/host-port.ts';

/** Undefined for an address with a zone, which means something on its own machine only. */
export function multiaddrText({ host, port }: HostPort): string | undefined {
  if (host.includes('%')) return undefined;
  const family = isIP(host);
  return `/${family === 4 ? 'ip4' : family === 6 ? 'ip6' : 'dns'}/${host}/tcp/${port}`;
}

/** Undefined for one that is no TCP address. */
export function hostPortOf(components: readonly { readonly name: string; readonly value?: string }[]): HostPort | undefined {
  const value = (...names: readonly string[]): string | undefined => components.find(({ name }) => names.includes(name))?.value;
  const host = value('ip4', 'ip6', 'dns', 'dns4', 'dns6');
  const port = Number(value('tcp') ?? Number.NaN);
  return host === undefined || !Number.isInteger(port) ? undefined : { host, port };
}
