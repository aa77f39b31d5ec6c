/** The issuer's desk: what an invitation grants, and the one transaction that consumes it. */
import { conflict, denied } from '../domain/errors.ts';
import type { NodeId } from '../domain/ids.ts';
import type { Member, Store } from '../domain/store-port.ts';
import type { CertificateChain, PeerIdentity } from '../domain/trust.ts';
import type { Clock } from '../domain/ports.ts';
import type { Chronicler } from './chronicler.ts';
import type { Self } from './self.ts';

export interface AdmissionParts {
  readonly store: Store;
  readonly self: Self;
  readonly clock: Clock;
  readonly chronicler: Chronicler;
  readonly verify: (chain: CertificateChain) => PeerIdentity;
  readonly ownAddresses: () => readonly string[];
  readonly onMembers: (members: readonly Member[]) => void;
}

interface Wish {
  readonly nodeId: NodeId;
  readonly name: string;
  readonly secretHash: string;
  /** host:port where it says it listens. */
  readonly addresses: readonly string[];
}

interface Granted {
  readonly name: string;
  readonly owner: string;
}

interface Card {
  readonly chain: CertificateChain;
  readonly addresses: readonly string[];
}

/** One answer for wrong, used and late tokens: a guesser learns nothing. */
const refusal = 'the token is wrong, was used, or is too old';

export class Admission {
  readonly #parts: AdmissionParts;

  constructor(parts: AdmissionParts) {
    this.#parts = parts;
  }

  async quote(wish: Wish): Promise<Granted> {
    const { store, self, clock } = this.#parts;
    const invite = store.read.invite(wish.secretHash);
    const isUsed = invite?.usedBy !== undefined && invite.usedBy !== wish.nodeId;
    if (invite === undefined || isUsed || invite.expiresAtMs <= clock.now()) {
      throw denied(refusal, 'ask for a new one: beckon mesh invite');
    }
    const holder = wish.name === self.name() ? self.nodeId : store.read.members().find((each) => each.name === wish.name)?.nodeId;
    if (holder !== undefined && holder !== wish.nodeId) {
      throw conflict(`another node of this mesh is called ${wish.name}`, 'the token is still good; take another name: beckon up --name OTHER');
    }
    return { name: wish.name, owner: invite.owner };
  }

  async admit(wish: Wish, granted: Granted, chain: CertificateChain): Promise<{ meshName: string; members: readonly Card[] }> {
    const { store, self, chronicler, verify, ownAddresses, onMembers } = this.#parts;
    const membership = store.read.membership();
    if (membership === undefined) throw denied(refusal);
    const { notBeforeMs } = verify(chain);
    const member: Member = { nodeId: wish.nodeId, name: granted.name, owner: granted.owner, chain, notBeforeMs, addresses: wish.addresses };
    await store.write.redeemInvite({ stamp: chronicler.stamp(), secretHash: wish.secretHash, member });
    onMembers([member]);
    const others = store.read.members().filter((each) => each.nodeId !== wish.nodeId && each.nodeId !== self.nodeId);
    return {
      meshName: membership.meshName,
      members: [{ chain: membership.chain, addresses: ownAddresses() }, ...others.map((each) => ({ chain: each.chain, addresses: each.addresses }))],
    };
  }
}
