/** Whether and where this node gossips, from what the person wants and from where the network port is. */
import { gossipPort, parseHostPort } from '../domain/host-port.ts';
import type { HostPort } from '../domain/host-port.ts';
import type { NodeId } from '../domain/ids.ts';
import type { RegistryHead } from '../domain/registration.ts';
import type { Member, Store } from '../domain/store-port.ts';
import type { GossipMember } from '../gossip/gossip.ts';

/** All members whose certificates count and have not ended, and where they gossip. */
export function gossipMembers({ read }: Pick<Store, 'read'>, known: KnownMembers, hasEnded: (member: Member) => boolean): readonly GossipMember[] {
  const members = read.members().filter((each) => known.isIn(each) && !hasEnded(each));
  return members.map(({ nodeId }) => ({ nodeId, gossipAddresses: known.head(nodeId)?.head.gossipAddresses ?? [] }));
}

interface KnownMembers {
  /** As in `RegistryState`. */
  isIn(member: Member): boolean;
  head(nodeId: NodeId): { readonly head: Pick<RegistryHead, 'gossipAddresses'> } | undefined;
}

export type GossipWish = 'auto' | 'off' | HostPort;

/** `--gossip-listen`. @throws BrokerError `invalid` for one that is none */
export function parseGossipFlag(flag: string | undefined): GossipWish {
  if (flag === undefined || flag === 'auto') return 'auto';
  return flag === 'off' ? 'off' : parseHostPort(flag, gossipPort);
}

export interface GossipPlan {
  /** Empty: it does not gossip. */
  readonly bind: readonly HostPort[];
  /** A port that is taken is taken by somebody else: another will do. */
  readonly mayMove: boolean;
  readonly why?: string;
}

export interface GossipSurroundings {
  /** Where the network port is bound. */
  readonly bound: readonly HostPort[];
  /** The network port was to be a free one: so is this. */
  readonly isAnyPort: boolean;
  /** The tailnet is reached through tailscaled, without a network interface. */
  readonly isGuarded: boolean;
}

export const userspaceWhy = 'this tailscaled has no network interface, so news go over the sessions alone';

export function planGossip(wish: GossipWish, { bound, isAnyPort, isGuarded }: GossipSurroundings): GossipPlan {
  if (wish === 'off') return { bind: [], mayMove: false, why: 'it was turned off' };
  if (wish !== 'auto') return { bind: [wish], mayMove: false };
  if (isGuarded) return { bind: [], mayMove: false, why: userspaceWhy };
  if (bound.length === 0) return { bind: [], mayMove: false, why: 'the network port listens nowhere' };
  const hosts = [...new Set(bound.map(({ host }) => host))];
  return { bind: hosts.map((host) => ({ host, port: isAnyPort ? 0 : gossipPort })), mayMove: true };
}
