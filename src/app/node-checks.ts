/** What `doctor` is told by the parts of a running node that are outside the core. */
import { certificateCheck, gossipCheck, issuersCheck, listeningCheck, rootCheck, tailnetCheck, tracesCheck } from '../domain/checks.ts';
import type { Check } from '../domain/checks.ts';
import type { SpanExport } from '../broker/span-export.ts';
import { formatHostPort } from '../domain/host-port.ts';
import type { HostPort } from '../domain/host-port.ts';
import { belongs } from '../domain/membership.ts';
import type { Clock } from '../domain/ports.ts';
import type { Store } from '../domain/store-port.ts';
import type { TailnetView } from '../domain/tailnet.ts';
import type { Gossiping } from './gossiping.ts';
import { fingerprintOf, lifeOf, parseLeaf } from '../trust/certificate.ts';
import { backdatedMs } from '../trust/issue.ts';
import { rootKeysHere } from '../trust/mesh-authority.ts';
import { rootsOf } from './node-self.ts';

export interface NodeChecksParts {
  /** Undefined: it tells no spans. */
  readonly spans: Pick<SpanExport, 'counts' | 'host'> | undefined;
  readonly store: Store;
  readonly trustDir: string;
  readonly clock: Clock;
  readonly tailnet: () => TailnetView | undefined;
  /** `--listen` was given: the tailnet has no say in where it listens. */
  readonly isFixed: boolean;
  readonly gossip: Pick<Gossiping, 'state'>;
  /** How the renewal of its certificate failed last. */
  readonly renewal: () => { readonly why: string } | undefined;
  readonly links: () => readonly { readonly peer: { readonly nodeId: string } }[];
  readonly network: { addresses(): readonly HostPort[]; note(): string | undefined; gossipingLinks(): number };
}

export async function nodeChecks({ store, trustDir, clock, tailnet, isFixed, network, links, gossip, renewal, spans }: NodeChecksParts): Promise<readonly Check[]> {
  const membership = store.read.membership();
  const listening = listeningCheck({ addresses: network.addresses().map(formatHostPort), note: network.note() });
  const traces = spans === undefined ? [] : [tracesCheck({ ...spans.counts(), host: spans.host }, clock.now())];
  const first = [tailnetCheck(tailnet(), !isFixed), listening, ...traces];
  if (membership === undefined) return first;
  const members = store.read.members();
  const chains = [membership.chain, ...members.map(({ chain }) => chain)];
  const issuers = new Set(chains.map(({ issuer }) => Buffer.from(fingerprintOf(issuer)).toString('hex')));
  const leaves = new Set(chains.map(({ leaf }) => Buffer.from(fingerprintOf(leaf)).toString('hex')));
  const { addresses, neighbours, failure, why, forMs } = gossip.state();
  const others = members.filter(belongs);
  const gossips = gossipCheck({ addresses: addresses.map(formatHostPort), neighbours: neighbours.size, members: others.length, linked: network.gossipingLinks(), forMs, why, failure });
  const linked = new Set(links().map(({ peer }) => peer.nodeId));
  const lettingIn = others.filter(({ isIssuer }) => isIssuer === true);
  const seen = lettingIn.flatMap(({ nodeId, lastSeenMs }) => (linked.has(nodeId) ? [clock.now()] : (lastSeenMs ?? [])));
  const recovery = membership.recoveryMs === undefined ? {} : { recoveryMs: membership.recoveryMs };
  return [...first, gossips, await root(store, trustDir, clock), certificateCheck(parseLeaf(membership.chain.leaf), clock.now(), renewal()?.why), issuersCheck({ isIssuer: membership.isIssuer, known: issuers.size, members: leaves.size, life: lifeOf(membership.issuerDer ?? membership.chain.issuer), others: lettingIn.length, ...(seen.length === 0 ? {} : { seenMs: Math.max(...seen) }), ...recovery }, clock.now())];
}

async function root(store: Store, trustDir: string, clock: Clock): Promise<Check> {
  const roots = rootsOf(store);
  const recoveryMs = store.read.membership()?.recoveryMs;
  const newest = roots.trusted.at(-1) ?? roots.first;
  const { notBeforeMs, notAfterMs } = lifeOf(newest);
  const here = await rootKeysHere(trustDir, roots);
  return rootCheck({
    endMs: notAfterMs,
    count: roots.trusted.length,
    isKeyHere: here.some(({ certificate }) => certificate === newest),
    // As certificates are, it is dated back by a day.
    ...(newest === roots.first ? {} : { madeMs: notBeforeMs + backdatedMs }),
    ...(recoveryMs === undefined ? {} : { recoveryMs }),
  }, clock.now());
}
