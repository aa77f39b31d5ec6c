/** Where the network port listens, and under which addresses others can reach it. */
import { networkInterfaces } from 'node:os';
import { meshPort, parseHostPort } from '../domain/host-port.ts';
import type { HostPort } from '../domain/host-port.ts';
import type { TailnetView } from '../domain/tailnet.ts';

/** As the person wants it; undefined: on the tailnet. @throws BrokerError `invalid` for one that is no host:port */
export function listenAddresses(flags: readonly string[] | undefined): readonly HostPort[] | undefined {
  if (flags === undefined || flags.length === 0) return undefined;
  return flags.map((each) => parseHostPort(each, meshPort));
}

export interface ListenPlan {
  readonly bind: readonly HostPort[];
  /** Where others reach it, when that is not where it is bound. */
  readonly reachable?: readonly HostPort[];
  /** Each connection must be one that tailscaled made: any user of this machine can reach the port. */
  readonly isGuarded: boolean;
  /** Why it is on this machine only. */
  readonly why?: string;
}

/** Where a node without `--listen` listens: on its tailnet and nowhere else, or on this machine alone. */
export function planListening(view: TailnetView | undefined, port: number = meshPort): ListenPlan {
  const loopback = [{ host: '127.0.0.1', port }];
  if (view?.kind === 'up') {
    const reachable = view.status.addresses.map((host) => ({ host, port }));
    if (reachable.length === 0) return { bind: loopback, isGuarded: false, why: 'the tailnet gave this machine no address' };
    return view.status.isUserspace ? { bind: loopback, reachable, isGuarded: true } : { bind: reachable, isGuarded: false };
  }
  if (view === undefined) return { bind: loopback, isGuarded: false, why: 'Tailscale is off' };
  return { bind: loopback, isGuarded: false, why: view.kind === 'unknown' ? 'the tailnet is not known yet' : view.why };
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
