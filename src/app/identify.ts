/** Who is at the other end, by the word of the tailnet: for the one that lets in, and for the one that enters. */
import type { Tailnet } from '../discovery/tailscale/tailnet.ts';
import { denied, unavailable } from '../domain/errors.ts';
import { formatHostPort, isLoopback } from '../domain/host-port.ts';
import type { HostPort } from '../domain/host-port.ts';
import type { TailnetIdentity, TailnetStatus } from '../domain/tailnet.ts';
import { plainAddress } from '../trust/front.ts';

type Asked = Pick<Tailnet, 'view' | 'whois'>;

/**
 * The machine that a connection came from. Fails closed: a connection that did not come through the tailnet, a machine that
 * the tailnet does not vouch for alone, and this machine itself, whose other users have the same address, are refused.
 * @throws BrokerError `denied` or `unavailable`, with the reason for both sides
 */
export async function identifyCaller(tailnet: Asked | undefined, ends: { readonly remote: HostPort; readonly localAddress: string }): Promise<TailnetIdentity> {
  const status = upStatus(tailnet, 'this node lets nobody in by the word of a tailnet');
  const { addresses, isUserspace } = status;
  const remote = { host: plainAddress(ends.remote.host), port: ends.remote.port };
  const isInside = isUserspace ? isLoopback(remote) : addresses.includes(plainAddress(ends.localAddress));
  if (!isInside) throw denied('this connection did not come through the tailnet', 'enter with a token: beckon mesh invite, there');
  return vouchedFor(tailnet as Asked, remote, status);
}

/** The machine that listens at an address of the tailnet. @throws BrokerError as `identifyCaller` does */
export function identifyListener(tailnet: Asked | undefined, address: HostPort): Promise<TailnetIdentity> {
  return vouchedFor(tailnet as Asked, address, upStatus(tailnet, 'nobody can say who that is'));
}

function upStatus(tailnet: Asked | undefined, what: string): TailnetStatus {
  if (tailnet === undefined) throw denied(`${what}: Tailscale is off here`, 'enter with a token: beckon mesh invite, there');
  const { view } = tailnet;
  if (view.kind === 'up') return view.status;
  throw unavailable(`${what}: ${view.kind === 'unknown' ? 'the tailnet is not known yet' : view.why}`, 'hint' in view ? view.hint : undefined);
}

async function vouchedFor(tailnet: Asked, address: HostPort, { self, peers }: TailnetStatus): Promise<TailnetIdentity> {
  const identity = await tailnet.whois(address);
  const where = formatHostPort(address);
  if (identity === undefined) throw denied(`the tailnet knows no machine at ${where}`);
  if (identity.id === self?.id) throw denied(`${where} is this same machine: any user of it could be meant`, 'enter with a token: beckon mesh invite');
  const isListedShared = peers.some(({ id, isShared }) => id === identity.id && isShared);
  if (identity.isShared || isListedShared) throw denied(`${identity.name} is a machine of another tailnet`, 'enter with a token: beckon mesh invite, there');
  if (identity.isExpired) throw denied(`the tailnet key of ${identity.name} has expired`, 'renew it on that machine: tailscale up --force-reauth');
  if (identity.isRouter) throw denied(`${identity.name} is a subnet router: others reach this port from behind it with its address`, 'enter with a token: beckon mesh invite, there');
  return identity;
}
