/** The rules in force, shown and tried, and what becomes of queued work when they change. */
import { parseAddress, shellAddress } from '../domain/address.ts';
import type { Audit } from '../domain/audit.ts';
import type { Candidate } from '../domain/candidate.ts';
import { BrokerError, conflict } from '../domain/errors.ts';
import type { NodeId } from '../domain/ids.ts';
import { belongs } from '../domain/membership.ts';
import type { Mesh } from '../domain/mesh-port.ts';
import { textOfCaller, parseCaller } from '../domain/policy-caller.ts';
import type { CallerPattern } from '../domain/policy-caller.ts';
import { ownRule, rulesOfShares } from '../domain/policy.ts';
import type { PolicyCaller, Rule } from '../domain/policy.ts';
import { noPolicyFile, noStandings } from '../domain/policy-port.ts';
import type { CallerStanding, CallerStandings, PolicyFile } from '../domain/policy-port.ts';
import type { Log } from '../domain/ports.ts';
import { partyOf } from '../domain/sharing.ts';
import type { Share, ShareView } from '../domain/sharing.ts';
import type { Store } from '../domain/store-port.ts';
import type { Nodes } from './nodes.ts';
import type { PolicyApi, PolicyCheck, PolicyCheckInput, PolicyView, RuleView, StandingView } from './policy-api.ts';
import { Policy } from './policy.ts';
import type { Denial } from './policy.ts';
import { QueuedLook } from './queued-look.ts';
import type { Self } from './self.ts';
import type { Sharing } from './sharing.ts';
import { PeerSight } from './sight.ts';

/** Shown at most: an answer is one message. */
const mostShares = 1_000;

export interface PolicyDeskParts {
  readonly policy: Policy;
  readonly policyFile?: PolicyFile;
  readonly standings?: CallerStandings | undefined;
  readonly sharing: Pick<Sharing, 'settleAll'>;
  readonly store: Pick<Store, 'read'>;
  readonly self: Self;
  readonly nodes: Pick<Nodes, 'nameOf'>;
  readonly mesh: () => Pick<Mesh, 'links'>;
  /** @throws `not_found`, `ambiguous`, `invalid` */
  readonly find: (address: string) => Candidate;
  /** What waited to be judged can be looked at again. */
  readonly wake: () => void;
  /** Whether flights of this store may be ended: not while a command has it for a moment, nor before what a dead node left is settled. */
  readonly isLive: () => boolean;
  readonly log: Log;
}

interface Asked {
  readonly caller: PolicyCaller;
  readonly standing?: CallerStanding;
  readonly words: string;
  readonly notes: readonly string[];
}

const nobody = '' as NodeId;

/** What judges callers, and what of this node's work they may see. @param membersRevision counts up with every change of who is a member */
export function judgementOf({ store, self, audit, policyFile: file, standings }: Pick<PolicyDeskParts, 'store' | 'self' | 'policyFile' | 'standings'> & { readonly audit: Pick<Audit, 'refused'> }, membersRevision: () => number): { readonly policy: Policy; readonly sight: PeerSight } {
  const onDenied = ({ caller: { nodeId, name, owner }, verb, address, verdict: { rule } }: Denial): void =>
    audit.refused({ kind: 'policy.denied', about: { verb, ...(address === undefined ? {} : { agent: address }), rule: rule === undefined ? 'none allows it' : `${rule.effect} ${whereOf(rule.source)}`.trim() } }, { who: { is: 'member', nodeId, name, owner }, from: { via: 'session' } });
  const policy = new Policy({ store, self, file, standings, membersRevision, onDenied });
  return { policy, sight: new PeerSight({ store, self, policy }) };
}

export class PolicyDesk implements PolicyApi {
  readonly #parts: PolicyDeskParts;
  readonly #file: PolicyFile;
  readonly #standings: CallerStandings;
  #isStopped = false;
  readonly #looks = new QueuedLook(() => this.#settle());

  constructor(parts: PolicyDeskParts) {
    this.#parts = parts;
    this.#file = parts.policyFile ?? noPolicyFile;
    this.#standings = parts.standings ?? noStandings;
    this.#file.onChange(() => this.#changed());
    this.#standings.onChange(() => this.#changed());
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#looks.settled();
  }

  async showPolicy(): Promise<PolicyView> {
    const { store, self, mesh } = this.#parts;
    const addresses = store.read.ownRegistrations().map(({ address }) => address);
    const shared = addresses.flatMap((address) => rulesOfShares(address, store.read.shares(address)));
    const nodeIds = mesh().links().map(({ peer }) => peer.nodeId);
    const carried = nodeIds.flatMap((nodeId) => this.#standings.standingOf(nodeId).rules);
    const rules = [ownRule(self.owner()), ...this.#file.rules, ...shared.slice(0, mostShares), ...carried];
    return {
      owner: self.owner(),
      file: await this.#file.view(),
      rules: rules.map((rule) => this.#view(rule)),
      moreShares: Math.max(0, shared.length - mostShares),
      callers: nodeIds.map((nodeId) => this.#standingView(nodeId)),
    };
  }

  async checkPolicy({ caller: text, verb, address: of }: PolicyCheckInput): Promise<PolicyCheck> {
    const { policy, self, find } = this.#parts;
    const { address, nodeId, nodeName } = find(of);
    const { caller, standing, words, notes } = this.#asked(text);
    if (nodeId !== self.nodeId) {
      throw conflict(`${address} belongs to ${nodeName}, which alone decides who may ${verb} it`, `on ${nodeName}: beckon policy check ${text} ${verb} ${shellAddress(parseAddress(address))}`);
    }
    // Whatever the rules say of this node or its person: it asks its own agents without them.
    if (caller.nodeId === self.nodeId) return { isAllowed: true, address, verb, caller: words, notes };
    await policy.settled(caller);
    const { isAllowed, rule } = policy.judge(caller, verb, address, standing);
    return { isAllowed, address, verb, caller: words, notes, ...(rule === undefined ? {} : { rule: this.#view(rule) }) };
  }

  #changed(): void {
    if (!this.#isStopped) this.#looks.ask();
  }

  /** Never rejects. */
  async #settle(): Promise<void> {
    const { sharing, wake, isLive, log } = this.#parts;
    if (this.#isStopped || !isLive()) return;
    try {
      const { ended } = await sharing.settleAll();
      if (ended > 0) log.warn({ ended }, 'queued work that the rules do not allow any more has ended: denied');
      wake();
    } catch (error) {
      log.error({ err: error }, 'queued work could not be judged anew; none of it starts without being judged');
    }
  }

  /** @throws BrokerError */
  #asked(text: string): Asked {
    const { store, self } = this.#parts;
    const members = [{ nodeId: self.nodeId, name: self.name(), owner: self.owner() }, ...store.read.members().filter((each) => belongs(each) && each.nodeId !== self.nodeId)];
    const hypothetical = (owner: string, words: string): Asked => ({
      caller: { nodeId: nobody, name: '', owner },
      standing: { tailnet: { kind: 'none', why: 'nobody in particular' }, rules: [] },
      words,
      notes: owner !== '' && members.some((each) => each.owner === owner) ? ['of rules that name a node, a tag or a capability none counts here: check the node itself'] : [],
    });
    if (/^(tag|cap):/.test(text)) {
      const pattern = parseCaller(text);
      if (pattern.kind === 'tag') return hypothetical(pattern.tag, `a machine that belongs to ${pattern.tag}`);
      const capabilities = new Set(pattern.kind === 'capability' ? [pattern.name] : []);
      return { ...hypothetical('', `whoever has the capability ${[...capabilities].join('')}, and nothing else`), standing: { tailnet: { kind: 'known', tags: [], capabilities }, rules: [] } };
    }
    const known = members.flatMap(({ nodeId, name, owner }): ShareView[] => [{ with: 'node', name, nodeId }, { with: 'person', name: owner }]);
    const party = partyNamed(text, known);
    if (party.with !== 'node') return hypothetical(party.with === 'person' ? party.name : '', `a machine of ${text}`);
    const found = members.find(({ nodeId }) => nodeId === party.nodeId);
    const { name, owner } = found ?? { name: party.nodeId, owner: '' };
    const { tailnet } = this.#standings.standingOf(party.nodeId);
    const notes = tailnet.kind === 'known' || party.nodeId === self.nodeId ? [] : [`no tags and capabilities of it are known: ${tailnet.why}`];
    return { caller: { nodeId: party.nodeId, name, owner }, words: `${owner} (${name})`, notes: party.nodeId === self.nodeId ? ['no rule is asked about what this node does with its own agents'] : notes };
  }

  #view({ effect, from, agents, verbs, source, flaw }: Rule): RuleView {
    return {
      effect,
      from: from.map(textOfCaller),
      agents: source.kind === 'share' ? [shellAddress(parseAddress(source.address))] : (agents?.map(({ text }) => text) ?? ['*']),
      verbs,
      source: source.kind,
      where: whereOf(source),
      notes: [...(flaw === undefined ? [] : [`it can’t be understood, so all is denied: ${flaw}`]), ...from.flatMap((each) => this.#note(each, effect, source.kind))],
    };
  }

  #note(pattern: CallerPattern, effect: Rule['effect'], source: Rule['source']['kind']): readonly string[] {
    const { policy, nodes } = this.#parts;
    if (pattern.kind === 'node-id') {
      const name = nodes.nameOf(pattern.nodeId);
      return source === 'share' || source === 'file' ? [`node:${pattern.nodeId} is ${name === pattern.nodeId ? 'no node that is known here' : name}`] : [];
    }
    if (pattern.kind !== 'node') return [];
    const holder = policy.holderOf(pattern.name);
    const who = holder === undefined ? `nobody in this mesh has the name ${pattern.name} now` : `${pattern.name} is ${holder}`;
    return effect === 'deny' ? [`${who}; a node can get another name, its id stays: deny that, or its person`] : [who];
  }

  #standingView(nodeId: NodeId): StandingView {
    const { tailnet } = this.#standings.standingOf(nodeId);
    const view = { nodeId, name: this.#parts.nodes.nameOf(nodeId), kind: tailnet.kind };
    return tailnet.kind === 'known' ? { ...view, why: '', tags: tailnet.tags, capabilities: [...tailnet.capabilities].toSorted() } : { ...view, why: tailnet.why, tags: [], capabilities: [] };
  }
}

/** @throws as `partyOf` does, in the words of this command */
function partyNamed(text: string, known: readonly ShareView[]): Share {
  try {
    return partyOf(text, known);
  } catch (thrown) {
    if (!(thrown instanceof BrokerError)) throw thrown;
    const { code, message, hint, detail } = thrown;
    throw new BrokerError(code, message.replace('--with', 'the caller'), { ...(hint === undefined ? {} : { hint: hint.replaceAll('--with ', '') }), ...(detail === undefined ? {} : { detail }) });
  }
}

function whereOf(source: Rule['source']): string {
  switch (source.kind) {
    case 'default':
      return '';
    case 'file':
      return source.where;
    case 'share':
      return source.address;
    case 'capability':
      return `${source.name} of ${source.of}`;
  }
}
