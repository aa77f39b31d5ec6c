/** What `GET whois` answers (apitype.WhoIsResponse of tailscale). */
import { z } from 'zod';
import type { TailnetIdentity } from '../../domain/tailnet.ts';
import { decode, flag, id, list, map, text } from './json.ts';
import { inOrder, isForeign, isUserSet, withoutFinalDot } from './status.ts';

const whois = z.object({
  Node: z.object({
    StableID: z.string().min(1),
    Name: text,
    ComputedName: text,
    Addresses: list(z.string()),
    Tags: list(z.string()),
    PrimaryRoutes: list(z.string()),
    Expired: flag,
    Sharer: id,
    Hostinfo: z.object({ ShareeNode: flag }).nullish(),
  }),
  UserProfile: z.object({ LoginName: text }).nullish(),
  CapMap: map(list(z.unknown())),
});

/** Stands for the owner of every tagged machine. */
const taggedDevices = 'tagged-devices';

/**
 * @param dnsSuffix of this machine's own tailnet
 * @throws BrokerError `unavailable`
 */
export function decodeWhoIs(body: string, dnsSuffix: string): TailnetIdentity {
  const { Node: node, UserProfile: profile, CapMap: capabilities } = decode(whois, body, 'the whois of tailscaled');
  const dnsName = withoutFinalDot(node.Name).toLowerCase();
  const login = profile?.LoginName ?? '';
  const isPerson = node.Tags.length === 0 && login !== '' && login !== taggedDevices;
  return {
    id: node.StableID,
    name: node.ComputedName === '' ? dnsName : node.ComputedName,
    ...(isPerson ? { user: login } : {}),
    tags: node.Tags,
    addresses: inOrder(node.Addresses),
    isExpired: node.Expired,
    isShared: isForeign(dnsName, dnsSuffix) || isUserSet(node.Sharer) || node.Hostinfo?.ShareeNode === true,
    isRouter: node.PrimaryRoutes.length > 0,
    capabilities: new Map(Object.entries(capabilities)),
  };
}
