/** What `doctor` is told by the parts of a running node that are outside the core. */
import { certificateCheck, gossipCheck, issuersCheck, listeningCheck, tailnetCheck, tracesCheck } from '../domain/checks.ts';
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

export interface NodeChecksParts {
  /** Undefined: it tells no spans. */
  readonly spans: Pick<SpanExport, 'counts' | 'host'> | undefined;
  readonly store: Store;
  readonly clock: Clock;
  readonly tailnet: () => TailnetView | undefined;
  /** `--listen` was given: the tailnet has no say in where it listens. */
  readonly isFixed: boolean;
  readonly gossip: Pick<Gossiping, 'state'>;
  /** How the renewal of its certificate failed last. */
  readonly renewal: () => { readonly why: string } | undefined;
  readonly network: { addresses(): readonly HostPort[]; note(): string | undefined; gossipingLinks(): number };
}

export function nodeChecks({ store, clock, tailnet, isFixed, network, gossip, renewal, spans }: NodeChecksParts): readonly Check[] {
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
  return [...first, gossips, certificateCheck(parseLeaf(membership.chain.leaf), clock.now(), renewal()?.why), issuersCheck({ isIssuer: membership.isIssuer, known: issuers.size, members: leaves.size, life: lifeOf(membership.issuerDer ?? membership.chain.issuer), others: others.filter(({ isIssuer }) => isIssuer === true).length }, clock.now())];
}
