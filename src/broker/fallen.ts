/** An issuer is removed: who stays of those that it certified, by whoever removes it, and who is out with it, at each node that hears of it. */
import type { NodeId } from '../domain/ids.ts';
import { belongs } from '../domain/membership.ts';
import type { RevocationSeal } from '../domain/ports.ts';
import { mostKept } from '../domain/revocation.ts';
import type { Revocation } from '../domain/revocation.ts';
import type { Store } from '../domain/store-port.ts';
import type { CertificateChain } from '../domain/trust.ts';
import type { Self } from './self.ts';

interface Parts {
  readonly store: Pick<Store, 'read'>;
  readonly self: Pick<Self, 'nodeId'>;
  readonly seal: Pick<RevocationSeal, 'isBy' | 'whoIs'>;
}

interface Certified {
  readonly nodeId: NodeId;
  readonly chain: CertificateChain;
  readonly isGone: boolean;
}

/** What is said of that issuer, by this node, when the node is removed that it was: all members that are known here stay. */
export function fallenWithout(parts: Parts, nodeId: NodeId, issuer: Uint8Array): NonNullable<Revocation['fallen']> {
  const { seal } = parts;
  const stay = certified(parts).filter((each) => each.nodeId !== nodeId && !each.isGone).map((each) => ({ ...each, isBy: seal.isBy(each.chain, issuer) }));
  // Others too: out of sight of this node it may have renewed them.
  const known = [...stay.filter(({ isBy }) => isBy), ...stay.filter(({ isBy }) => !isBy)].slice(0, mostKept);
  return { issuer, kept: known.filter(({ isBy }) => isBy).map((each) => each.nodeId), keptAs: known.map(({ chain }) => seal.whoIs(chain)) };
}

/** Whom it certified and who does not stay; nor does who is known here as somebody else than the word says. This node, if it is meant, asks for another certificate. */
export function fallenWith(parts: Parts, { nodeId, fallen }: Pick<Revocation, 'nodeId' | 'fallen'>): NodeId[] {
  const { self, seal } = parts;
  if (fallen === undefined) return [];
  const { issuer, kept, keptAs } = fallen;
  const stays = ({ nodeId: id, chain }: Certified): boolean => ((keptAs === undefined || id === self.nodeId) && kept.includes(id)) || keptAs?.includes(seal.whoIs(chain)) === true;
  return certified(parts).filter((each) => each.nodeId !== nodeId && seal.isBy(each.chain, issuer) && !stays(each)).map((each) => each.nodeId);
}

/** All known here, this node among them. */
function certified({ store, self }: Parts): Certified[] {
  const membership = store.read.membership();
  const others = store.read.members().filter((each) => each.nodeId !== self.nodeId).map((each) => ({ nodeId: each.nodeId, chain: each.chain, isGone: !belongs(each) }));
  return membership === undefined ? others : [...others, { nodeId: self.nodeId, chain: membership.chain, isGone: false }];
}
