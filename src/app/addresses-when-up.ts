/** The addresses of a node that does not run yet. */
import type { HostPort } from '../domain/host-port.ts';
import type { Tailnet } from '../discovery/tailscale/tailnet.ts';
import { planListening, reachableAddresses } from './listen.ts';
import { viewNow } from './tailnet.ts';

/** Where this node will listen when it is up, as far as that is known now. */
export async function addressesWhenUp(fixed: readonly HostPort[] | undefined, tailnet: Tailnet | undefined): Promise<readonly HostPort[]> {
  if (fixed !== undefined) return reachableAddresses(fixed.filter((each) => each.port !== 0));
  const { reachable, bind } = planListening(await viewNow(tailnet));
  return reachable ?? bind;
}
