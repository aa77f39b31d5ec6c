/** What `GET status` and `tailscale status --json` answer (ipnstate.Status of tailscale), as far as it is needed. */
import { isIP } from 'node:net';
import { z } from 'zod';
import { readBy } from '../../domain/read-by.ts';
import { tailnetStates } from '../../domain/tailnet.ts';
import type { TailnetMachine, TailnetState, TailnetStatus } from '../../domain/tailnet.ts';
import { check, decode, flag, id, list, map, text } from './json.ts';

const machine = z.object({
  ID: text,
  HostName: text,
  DNSName: text,
  OS: text,
  UserID: id,
  AltSharerUserID: id,
  TailscaleIPs: list(z.string()),
  Tags: list(z.string()),
  Online: flag,
  ExitNodeOption: flag,
  ShareeNode: flag,
  Expired: flag,
});
type Machine = z.infer<typeof machine>;

const status = z.object({
  Version: text,
  TUN: z.boolean().nullish(),
  BackendState: z.string(),
  TailscaleIPs: list(z.string()),
  Self: z.unknown().optional(),
  MagicDNSSuffix: text,
  CurrentTailnet: z.object({ Name: text }).nullish(),
  Peer: map(z.unknown()),
  User: map(z.unknown()),
});

const user = z.object({ LoginName: z.string() });

/** @throws BrokerError `unavailable`. A peer that can't be understood is left out, a whole answer is not. */
export function decodeStatus(body: string): TailnetStatus {
  const read = decode(status, body, 'the status of tailscaled');
  const dnsSuffix = read.MagicDNSSuffix.replace(/^\.+|\.+$/g, '').toLowerCase();
  const logins = new Map<string, string>();
  for (const [key, value] of Object.entries(read.User)) {
    const result = readBy(user, value);
    if (result?.success === true) logins.set(key, result.data.LoginName);
  }
  const name = read.CurrentTailnet?.Name;
  const self = read.Self === null || read.Self === undefined ? undefined : check(machine, read.Self, 'Self in the status of tailscaled');
  return {
    version: read.Version,
    state: stateOf(read.BackendState),
    isUserspace: read.TUN === false,
    addresses: inOrder(read.TailscaleIPs),
    ...(self === undefined || self.ID === '' ? {} : { self: machineOf(self, logins, dnsSuffix) }),
    ...(name === undefined || name === '' ? {} : { name }),
    dnsSuffix,
    peers: Object.values(read.Peer).flatMap((value) => {
      const result = readBy(machine, value);
      return result?.success === true && result.data.ID !== '' ? [machineOf(result.data, logins, dnsSuffix)] : [];
    }),
  };
}

function machineOf(read: Machine, logins: ReadonlyMap<string, string>, dnsSuffix: string): TailnetMachine {
  const dnsName = withoutFinalDot(read.DNSName).toLowerCase();
  const login = read.Tags.length > 0 ? undefined : logins.get(read.UserID);
  return {
    id: read.ID,
    hostName: read.HostName,
    dnsName,
    os: read.OS,
    ...(login === undefined || login === '' ? {} : { user: login }),
    tags: read.Tags,
    addresses: inOrder(read.TailscaleIPs),
    isOnline: read.Online,
    isExpired: read.Expired,
    isShared: read.ShareeNode || isUserSet(read.AltSharerUserID) || isForeign(dnsName, dnsSuffix),
    isExit: read.ExitNodeOption && dnsName.endsWith('.mullvad.ts.net'),
  };
}

export function withoutFinalDot(name: string): string {
  return name.replace(/\.$/, '');
}

/** A name of another tailnet. Without a suffix of our own, or a name, nothing can be said. */
export function isForeign(dnsName: string, dnsSuffix: string): boolean {
  return dnsName.includes('.') && dnsSuffix !== '' && !dnsName.endsWith(`.${dnsSuffix}`);
}

/** IP addresses alone, with or without prefix length, IPv4 first, each once. */
export function inOrder(addresses: readonly string[]): readonly string[] {
  const plain = [...new Set(addresses.map((each) => each.replace(/\/\d+$/, '')))];
  return [...plain.filter((each) => isIP(each) === 4), ...plain.filter((each) => isIP(each) === 6)];
}

export function isUserSet(userId: string): boolean {
  return userId !== '' && userId !== '0';
}

function stateOf(state: string): TailnetState {
  return tailnetStates.find((known) => known === state) ?? 'unknown';
}
