/** An issuer is removed: who stays of those that it certified, by whoever removes it, and who is out with it, at each node that hears of it. */
import { BrokerError, unavailable } from '../domain/errors.ts';
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

/**
 * What is said of that issuer, by this node, when the node is removed that it was: all members that are known here stay.
 * @throws BrokerError `unavailable` where it certified more than one word can name
 */
export function fallenWithout(parts: Parts, nodeId: NodeId, issuer: Uint8Array): NonNullable<Revocation['fallen']> {
  const { seal } = parts;
  const stay = certified(parts).filter((each) => each.nodeId !== nodeId && !each.isGone).flatMap((each) => {
    const who = whoIs(seal, each.chain);
    return who === undefined ? [] : [{ nodeId: each.nodeId, who, isBy: seal.isBy(each.chain, issuer) }];
  });
  const its = stay.filter(({ isBy }) => isBy);
  if (its.length > mostKept) throw unavailable(`${its.length} members have their certificate of that one, and a removal names ${mostKept} at most: the others would be out with it`, 'end it as one that lets others in first, beckon mesh issuer rm: others renew its members then');
  // Others too: out of sight of this node it may have renewed them.
  const known = [...its, ...stay.filter(({ isBy }) => !isBy)].slice(0, mostKept);
  return { issuer, kept: its.map((each) => each.nodeId), keptAs: known.map(({ who }) => who) };
}

/** Whom it certified and who does not stay; nor does who is known here as somebody else than the word says. This node, if it is meant, asks for another certificate. */
export function fallenWith(parts: Parts, { nodeId, fallen }: Pick<Revocation, 'nodeId' | 'fallen'>): NodeId[] {
  const { self, seal } = parts;
  if (fallen === undefined) return [];
  const { issuer, kept, keptAs } = fallen;
  const stays = ({ nodeId: id, chain }: Certified): boolean => {
    if ((keptAs === undefined || id === self.nodeId) && kept.includes(id)) return true;
    const who = whoIs(seal, chain);
    return who !== undefined && keptAs?.includes(who) === true;
  };
  return certified(parts).filter((each) => each.nodeId !== nodeId && seal.isBy(each.chain, issuer) && !stays(each)).map((each) => each.nodeId);
}

/** Undefined for a certificate that was stored before its form was asked for, and has another: it says nothing of anybody. */
function whoIs(seal: Parts['seal'], chain: CertificateChain): string | undefined {
  try {
    return seal.whoIs(chain);
  } catch (error) {
    if (error instanceof BrokerError) return undefined;
    throw error;
  }
}

/** All known here, this node among them. */
function certified({ store, self }: Parts): Certified[] {
  const membership = store.read.membership();
  const others = store.read.members().filter((each) => each.nodeId !== self.nodeId).map((each) => ({ nodeId: each.nodeId, chain: each.chain, isGone: !belongs(each) }));
  return membership === undefined ? others : [...others, { nodeId: self.nodeId, chain: membership.chain, isGone: false }];
}
