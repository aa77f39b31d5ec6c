/** The issuer's desk: what an invitation grants, whom the tailnet's word lets in, and the one transaction for each. */
import { flawOfRule, judgeApplicant } from '../domain/admit-rule.ts';
import type { AdmitRule, Applicant } from '../domain/admit-rule.ts';
import type { Act } from '../domain/audit.ts';
import { BrokerError, conflict, denied, invalid, notFound } from '../domain/errors.ts';
import type { NodeId } from '../domain/ids.ts';
import { belongs, outsideError, whereIssuersAre } from '../domain/membership.ts';
import type { Member, Store } from '../domain/store-port.ts';
import type { TailnetIdentity } from '../domain/tailnet.ts';
import type { CertificateChain, PeerIdentity } from '../domain/trust.ts';
import type { Clock } from '../domain/ports.ts';
import type { Chronicler } from './chronicler.ts';
import { removedKey } from './removal.ts';
import type { Self } from './self.ts';

export interface AdmissionParts {
  readonly store: Store;
  readonly self: Self;
  readonly clock: Clock;
  readonly chronicler: Chronicler;
  readonly verify: (chain: CertificateChain) => PeerIdentity;
  readonly ownAddresses: () => readonly string[];
  /** Login name of this machine's user in its tailnet; undefined when it is tagged, or in none. */
  readonly tailnetUser: () => string | undefined;
  readonly onMembers: (members: readonly Member[]) => void;
  /** There are new rules: other issuers are to know them. */
  readonly onRules: () => void;
}

interface Wish {
  readonly nodeId: NodeId;
  readonly name: string;
  readonly by: { readonly secretHash: string } | { readonly identity: TailnetIdentity };
  /** host:port where it says it listens. */
  readonly addresses: readonly string[];
  /** host:port where it asks from. */
  readonly remoteAddress: string;
}

interface Granted {
  readonly name: string;
  readonly owner: string;
  readonly isIssuer?: boolean;
  readonly laterThanMs?: number;
}

interface Card {
  readonly chain: CertificateChain;
  readonly addresses: readonly string[];
}

/** Its key is proven, and by a token that somebody gave it, or by the tailnet's word, who it is. */
function actOf({ nodeId, name, by, remoteAddress }: Wish): Act {
  const login = 'identity' in by ? (by.identity.user ?? by.identity.tags[0]) : undefined;
  return { who: { is: 'applicant', nodeId, name, ...(login === undefined ? {} : { login }) }, from: { via: 'entrance', address: remoteAddress } };
}

const wordsOf = ({ user, tags }: TailnetIdentity): string => `by a rule, as the tailnet says: ${[user, ...tags].filter((each) => each !== undefined).join(' ')}`;

/** One answer for wrong, used and late tokens: a guesser learns nothing. */
const refusal = 'the token is wrong, was used, or is too old';

export class Admission {
  readonly #parts: AdmissionParts;

  constructor(parts: AdmissionParts) {
    this.#parts = parts;
  }

  async quote(wish: Wish): Promise<Granted> {
    const owner = 'secretHash' in wish.by ? this.#ownerByToken(wish, wish.by.secretHash) : await this.#ownerByTailnet(wish, wish.by.identity);
    const { store, self } = this.#parts;
    const revoked = store.read.revocation(wish.nodeId)?.revocation;
    if (revoked !== undefined) throw removedKey(revoked.name, revoked.by);
    const holder = wish.name === self.name() ? self.nodeId : store.read.members().find((each) => each.name === wish.name && belongs(each))?.nodeId;
    if (holder !== undefined && holder !== wish.nodeId) {
      const still = 'secretHash' in wish.by ? 'the token is still good; ' : '';
      throw conflict(`another node of this mesh is called ${wish.name}`, `${still}take another name: beckon up --name OTHER`);
    }
    const before = store.read.member(wish.nodeId);
    return { name: wish.name, owner, isIssuer: this.#isSecond(wish.nodeId, owner), ...(before === undefined ? {} : { laterThanMs: before.notBeforeMs }) };
  }

  /** What an application of that machine would lead to. Changes nothing. */
  advise(identity: TailnetIdentity): Promise<{ meshName: string; isAdmissible: boolean; why: string }> {
    return Promise.resolve().then(() => {
      const verdict = this.#judge(identity);
      const { meshName } = this.#membership();
      return { meshName, isAdmissible: verdict.kind === 'admit', why: verdict.kind === 'admit' ? '' : verdict.why };
    });
  }

  pending(): readonly Applicant[] {
    this.#refuseUnlessIssuer();
    const { store } = this.#parts;
    return store.read.applicants().filter(({ nodeId }) => {
      const member = store.read.member(nodeId);
      return member === undefined || !belongs(member);
    });
  }

  /** @throws as `BrokerApi.admit` does */
  async rule({ node, rules }: { readonly node?: string; readonly rules: readonly AdmitRule[] }, act?: Act): Promise<{ rules: readonly AdmitRule[] }> {
    this.#refuseUnlessIssuer();
    const { store, chronicler, onRules } = this.#parts;
    const all = [...rules, ...(node === undefined ? [] : [{ kind: 'node', value: this.#waiting(node) } as const])];
    if (all.length === 0) throw invalid('whom to admit is missing', 'name a node that waits (beckon mesh pending), or give --user, --tag or --cap');
    for (const rule of all) {
      const flaw = flawOfRule(rule);
      if (flaw !== undefined) throw invalid(`${rule.kind} ${JSON.stringify(rule.value)}: ${flaw}`);
    }
    const added = await store.write.addAdmitRules({ stamp: chronicler.stamp(), act, rules: all });
    if (added.length > 0) onRules();
    return { rules: all };
  }

  #waiting(node: string): NodeId {
    const found = this.pending().filter(({ nodeId, name }) => nodeId === node || name === node.toLowerCase());
    const [first] = found;
    if (first === undefined) throw notFound(`no machine called ${JSON.stringify(node)} waits to be let in`, 'see who does: beckon mesh pending');
    if (found.length > 1) {
      const ids = found.map(({ nodeId, address }) => `${nodeId} (${address})`).join(', ');
      throw new BrokerError('ambiguous', `several machines called ${node} wait: ${ids}`, { hint: 'give the node id' });
    }
    return first.nodeId;
  }

  #refuseUnlessIssuer(): void {
    const membership = this.#parts.store.read.membership();
    if (membership === undefined) throw outsideError(this.#parts.store.read.removedFrom());
    if (!membership.isIssuer) throw denied('this node can’t admit others: it is no issuer', whereIssuersAre(this.#parts.store.read.members()));
  }

  async admit(wish: Wish, granted: Granted, chain: CertificateChain, issuerDer: Uint8Array | undefined): Promise<{ meshName: string; members: readonly Card[] }> {
    const { store, self, chronicler, verify, ownAddresses, onMembers } = this.#parts;
    const membership = this.#membership();
    const { notBeforeMs } = verify(chain);
    const member: Member = { nodeId: wish.nodeId, name: granted.name, owner: granted.owner, chain, notBeforeMs, addresses: wish.addresses };
    const input = { stamp: chronicler.stamp(), act: actOf(wish), member, ...(issuerDer === undefined ? {} : { issuerDer }) };
    if ('secretHash' in wish.by) await store.write.redeemInvite({ ...input, secretHash: wish.by.secretHash });
    else await store.write.admitMember({ ...input, why: wordsOf(wish.by.identity) });
    onMembers([member]);
    const others = store.read.members().filter((each) => each.nodeId !== wish.nodeId && each.nodeId !== self.nodeId && belongs(each));
    return {
      meshName: membership.meshName,
      members: [{ chain: membership.chain, addresses: ownAddresses() }, ...others.map((each) => ({ chain: each.chain, addresses: each.addresses }))],
    };
  }

  #ownerByToken({ nodeId }: Wish, secretHash: string): string {
    const { store, clock } = this.#parts;
    const invite = store.read.invite(secretHash);
    const isUsed = invite?.usedBy !== undefined && invite.usedBy !== nodeId;
    if (invite === undefined || isUsed || invite.expiresAtMs <= clock.now()) {
      throw denied(refusal, 'ask for a new one: beckon mesh invite');
    }
    return invite.owner;
  }

  /** One that has to wait is remembered, for a person to see. */
  async #ownerByTailnet({ nodeId, name, addresses, remoteAddress }: Wish, identity: TailnetIdentity): Promise<string> {
    const { store, chronicler } = this.#parts;
    const verdict = this.#judge(identity, nodeId);
    if (verdict.kind === 'admit') return verdict.owner;
    const { user: login, tags } = identity;
    const applicant: Omit<Applicant, 'sinceMs'> = { nodeId, name, address: addresses[0] ?? remoteAddress, ...(login === undefined ? {} : { login }), tags, why: verdict.why };
    await store.write.recordApplicant({ stamp: chronicler.stamp(), applicant });
    const { name: issuer } = this.#membership();
    throw denied(`it has to wait: ${verdict.why}`, `a person lets it in, on ${issuer}: beckon mesh pending shows it, beckon mesh admit ${name} admits it`);
  }

  #judge(identity: TailnetIdentity, nodeId?: NodeId): ReturnType<typeof judgeApplicant> {
    const { store, tailnetUser } = this.#parts;
    const user = tailnetUser();
    const own = { owner: this.#membership().owner, ...(user === undefined ? {} : { user }) };
    return judgeApplicant({ identity, own, rules: store.read.admitRules(), ...(nodeId === undefined ? {} : { nodeId }) });
  }

  /** The owner's second machine lets others in too, so that a mesh outlives one machine. */
  #isSecond(nodeId: NodeId, owner: string): boolean {
    const issuers = this.#parts.store.read.issuers();
    return owner === this.#membership().owner && (issuers.length === 0 || issuers.includes(nodeId));
  }

  #membership(): NonNullable<ReturnType<Store['read']['membership']>> {
    const membership = this.#parts.store.read.membership();
    if (membership === undefined) throw denied(refusal);
    return membership;
  }
}
