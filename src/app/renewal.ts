/** Renewing what has ended, at the entrance of an issuer: finding one, and being one. */
import type { Renewals } from '../broker/renewals.ts';
import type { DiscoverySource } from '../domain/discovery-port.ts';
import { BrokerError, denied, toBrokerError, unavailable } from '../domain/errors.ts';
import { formatHostPort, parseHostPort } from '../domain/host-port.ts';
import type { HostPort } from '../domain/host-port.ts';
import type { NodeId } from '../domain/ids.ts';
import { belongs } from '../domain/membership.ts';
import type { Clock } from '../domain/ports.ts';
import type { SignedRecord } from '../domain/registration.ts';
import type { Store } from '../domain/store-port.ts';
import type { CertificateChain } from '../domain/trust.ts';
import { authoritiesOf, mergeAuthorities } from '../trust/authorities.ts';
import { parseLeaf, recogniseChain } from '../trust/certificate.ts';
import type { Detour } from '../trust/https-call.ts';
import { IssuerRefusal, meetIssuer } from '../trust/issuer-call.ts';
import type { KnownIssuer, ShownRoots } from '../trust/issuer-call.ts';
import type { NodeKey } from '../trust/node-key.ts';
import { askToRenew } from '../trust/renewal.ts';
import type { RenewalDesk } from '../trust/renewal.ts';
import { rootsOf } from './node-self.ts';
import type { Standing } from './standing.ts';

export interface RenewalDeskParts {
  readonly store: Pick<Store, 'read'>;
  readonly standing: Pick<Standing, 'revocationOf' | 'isKept'>;
  readonly clock: Clock;
  readonly renewals: () => Pick<Renewals, 'renew' | 'renewKept'>;
}

/** One that was removed is told so with proof: nobody else of its mesh could tell it any more. */
export function renewalDesk({ store, standing, clock, renewals }: RenewalDeskParts): RenewalDesk {
  return async (chain, askerNowMs, address) => {
    const from = address === undefined ? undefined : ({ via: 'entrance', address } as const);
    const shown = recogniseChain(chain, rootsOf(store), clock.now());
    const word = standing.revocationOf(shown);
    if (word === undefined) return { chain: await renewals().renew(chain, askerNowMs, from) };
    return standing.isKept(word, shown.nodeId) ? { chain: await renewals().renewKept(shown, askerNowMs, from) } : { revocation: word.record };
  };
}

/** For who starts it: nobody takes its calls. */
export function endedNote({ read }: Pick<Store, 'read'>, clock: Clock): string | undefined {
  const leaf = read.membership()?.chain.leaf;
  const endMs = leaf === undefined ? undefined : parseLeaf(leaf).notAfterMs;
  if (endMs === undefined || endMs >= clock.now()) return undefined;
  return `its certificate ended on ${new Date(endMs).toISOString().slice(0, 10)}: other nodes take no calls from it until a node that lets others in has renewed it; how that goes: beckon doctor`;
}

export interface RenewAtEntranceParts {
  readonly store: Pick<Store, 'read'>;
  readonly nodeKey: NodeKey;
  readonly clock: Clock;
  readonly detour: Detour;
  readonly seeds: readonly string[];
  readonly sources: readonly Pick<DiscoverySource, 'candidates'>[];
  /** What an issuer shows of the roots of its mesh, which is not checked yet. */
  readonly onAuthorities: (authorities: Uint8Array, from: NodeId) => Promise<void>;
  /** This node was removed, by that word of an issuer, which is not checked yet. */
  readonly onRevoked: (revocation: SignedRecord) => Promise<unknown>;
}

/** Addresses that are asked who is there at once. */
const atOnce = 8;
const mostAddresses = 128;

/** @throws BrokerError `denied` when an issuer says no, `unavailable` naming why there was none */
export async function renewAtEntrance(parts: RenewAtEntranceParts, chain: CertificateChain, signal: AbortSignal): Promise<CertificateChain> {
  const { nodeKey, clock, detour } = parts;
  const reasons: string[] = [];
  const addresses = addressesOf(parts);
  for (let from = 0; from < addresses.length && !signal.aborted; from += atOnce) {
    const met = await Promise.all(addresses.slice(from, from + atOnce).map((address) => meet(parts, address, signal)));
    for (const known of met) {
      if (known === undefined) continue;
      try {
        // What it certifies may lead to a root that came while this node was away.
        if (known.authorities !== undefined) await parts.onAuthorities(known.authorities, known.nodeId);
        const verdict = await askToRenew(known, { nodeKey, chain }, { clock, detour, signal });
        if ('chain' in verdict) return verdict.chain;
        await parts.onRevoked(verdict.revocation);
        throw denied('this node was removed from the mesh');
      } catch (error) {
        if (error instanceof BrokerError && error.code === 'denied') throw error;
        reasons.push(`${formatHostPort(known.address)} (${error instanceof IssuerRefusal ? error.error.message : toBrokerError(error).message})`);
      }
    }
  }
  const what = parseLeaf(chain.leaf).notAfterMs < clock.now() ? 'this node’s certificate has ended' : 'this node’s certificate counts no more, since the machine that signed it was removed';
  throw unavailable(
    reasons.length === 0
      ? `${what}, and none of the ${addresses.length} addresses that it knows is that of a node that renews certificates`
      : `${what}, and no node that renews certificates did: ${reasons.join(', ')}`,
    'one of the nodes that let others in has to be up and reachable; or ask its owner for an invitation, and leave and join again: beckon mesh leave, beckon mesh join TOKEN',
  );
}

/** A root that this node trusts, or would by what is shown: it may have been away while another came. */
function isOwnMesh({ read }: Pick<Store, 'read'>, root: Uint8Array, { first, authorities }: ShownRoots): boolean {
  const own = read.membership();
  if (own === undefined || !Buffer.from(own.rootDer).equals(first)) return false;
  const known = authorities === undefined ? own.authorities : (mergeAuthorities(first, own.authorities, authorities) ?? own.authorities);
  return authoritiesOf(first, known).trusted.some((each) => Buffer.from(each).equals(root));
}

/** Undefined for whoever is not an issuer of this very mesh. */
async function meet({ store, clock, detour }: RenewAtEntranceParts, address: HostPort, signal: AbortSignal): Promise<KnownIssuer | undefined> {
  try {
    return await meetIssuer(address, { clock, detour, signal }, (root, shown) => isOwnMesh(store, root, shown));
  } catch {
    return undefined;
  }
}

/** Where issuers were, then where other members were, then where anybody may be. */
function addressesOf({ store, seeds, sources }: RenewAtEntranceParts): readonly HostPort[] {
  const members = store.read.members().filter(belongs);
  const ranked = [...members.filter(({ isIssuer }) => isIssuer === true), ...members.filter(({ isIssuer }) => isIssuer !== true)];
  const found = sources.flatMap((source) => source.candidates().flatMap((each) => each.addresses));
  const all = new Set([...ranked.flatMap(({ addresses }) => addresses), ...seeds, ...found]);
  return [...all].slice(0, mostAddresses).map((address) => parseHostPort(address));
}
