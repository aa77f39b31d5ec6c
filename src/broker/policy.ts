/**
 * Who may do what here, decided on the owner: the rules of `domain/policy.ts`, fed with what this node has in memory (the
 * policy file, what the tailnet says of who calls) and, for those whom none of that lets in, the agent's shares.
 */
import { parseAddress, shellAddress } from '../domain/address.ts';
import type { PatternTarget } from '../domain/agent-pattern.ts';
import { denied } from '../domain/errors.ts';
import type { BrokerError } from '../domain/errors.ts';
import type { NodeId } from '../domain/ids.ts';
import { belongs } from '../domain/membership.ts';
import { nameHolders } from '../domain/name-holder.ts';
import { decide, ownRule, rulesOfShares } from '../domain/policy.ts';
import type { PolicyCaller, Question, Rule, Verb, Verdict } from '../domain/policy.ts';
import { noPolicyFile, noStandings } from '../domain/policy-port.ts';
import type { CallerStanding, CallerStandings, PolicyFile } from '../domain/policy-port.ts';
import type { Flight } from '../domain/records.ts';
import type { Store } from '../domain/store-port.ts';
import type { Self } from './self.ts';

export interface PolicyParts {
  readonly store: Pick<Store, 'read'>;
  readonly self: Pick<Self, 'nodeId' | 'name' | 'owner' | 'namedSinceMs'>;
  /** Left out: there is none. */
  readonly file?: PolicyFile | undefined;
  /** Left out: nobody comes through a tailnet. */
  readonly standings?: CallerStandings | undefined;
  /** Counts up with every change of who is a member, under which name. */
  readonly membersRevision?: (() => number) | undefined;
  /** Told of each denial that a caller is given. */
  readonly onDenied?: ((denial: Denial) => void) | undefined;
}

export interface Denial {
  readonly caller: PolicyCaller;
  readonly verb: Verb;
  /** Canonical; undefined: of the node. */
  readonly address: string | undefined;
  readonly verdict: Verdict;
}

export class Policy {
  readonly #parts: PolicyParts;
  readonly #file: PolicyFile;
  readonly #standings: CallerStandings;
  /** Own rule and those of the file. */
  #compiled: { readonly owner: string; readonly from: readonly Rule[]; readonly rules: readonly Rule[] } | undefined;
  #holders: { readonly revision: number; readonly byName: Map<string, NodeId | undefined> } | undefined;

  constructor(parts: PolicyParts) {
    this.#parts = parts;
    this.#file = parts.file ?? noPolicyFile;
    this.#standings = parts.standings ?? noStandings;
  }

  /** The tailnet may have to be asked first of one whose session has just begun: then there is something to wait for. */
  settled(caller: PolicyCaller): Promise<void> | undefined {
    return this.#standings.settled(caller.nodeId);
  }

  /** As it is known now. @param address canonical; undefined: of the node, not of one agent @param standing in place of what the tailnet says of the caller */
  judge(caller: PolicyCaller, verb: Verb, address?: string, standing: CallerStanding = this.#standings.standingOf(caller.nodeId)): Verdict {
    const { store, self } = this.#parts;
    const { tailnet, rules } = standing;
    const target = address === undefined ? undefined : this.#targetOf(address);
    const question: Question = { caller, verb, target, tailnet, holderOf: (name) => this.holderOf(name) };
    const inMemory = this.#rules();
    const verdict = decide(question, rules.length === 0 ? inMemory : [...inMemory, ...rules]);
    // Shares deny nothing: they are read for those alone whom nothing else lets in.
    if (verdict.isAllowed || verdict.rule !== undefined || verb !== 'invoke' || address === undefined || target?.nodeId !== self.nodeId) return verdict;
    return decide(question, rulesOfShares(address, store.read.shares(address)));
  }

  /** Of work that is handed over. @returns undefined when allowed, else the error that the caller is to see */
  refusalOf(caller: PolicyCaller, target: string): BrokerError | undefined {
    const verdict = this.judge(caller, 'invoke', target);
    if (verdict.isAllowed) return undefined;
    this.#parts.onDenied?.({ caller, verb: 'invoke', address: target, verdict });
    return this.#refusal(caller, target, verdict);
  }

  /** Of a question about what others have here, or a word in it. @param address of the agent that it is about; undefined: the whole node */
  async refusalFor(caller: PolicyCaller, verb: 'control' | 'inspect', address?: string): Promise<BrokerError | undefined> {
    await this.settled(caller);
    const verdict = this.judge(caller, verb, address);
    if (verdict.isAllowed) return undefined;
    this.#parts.onDenied?.({ caller, verb, address, verdict });
    const { self } = this.#parts;
    const what = verb === 'control' ? 'answer for' : 'inspect the work of';
    return denied(`${whoIs(caller)} may not ${what} ${self.owner()}: ${whyNot(verdict)}`);
  }

  /**
   * Of work that was taken in and has not started: its caller's rights as they are now. `unknown`: what it was allowed by
   * can't be judged before its caller, or the tailnet, is heard from again.
   */
  judgeQueued(flight: Flight): BrokerError | 'unknown' | undefined {
    const { originNodeId: nodeId, target } = flight;
    if (nodeId === this.#parts.self.nodeId) return undefined;
    const caller = this.#callerOf(flight);
    const verdict = this.judge(caller, 'invoke', target);
    if (verdict.isAllowed) return undefined;
    return this.#standings.standingOf(nodeId).tailnet.kind === 'unknown' && !isCertain(verdict) ? 'unknown' : this.#refusal(caller, target, verdict);
  }

  /** The same when it is about to start: what is not known is not allowed. */
  refusalOfQueued(flight: Flight): BrokerError | undefined {
    const judged = this.judgeQueued(flight);
    if (judged !== undefined) this.refused(flight);
    return judged === 'unknown' ? denied(`whether ${flight.target} may be invoked for it is not known: its caller, or the tailnet, has not been heard from`) : judged;
  }

  /** Work that was taken in has been refused by what `judgeQueued` said. */
  refused(flight: Flight): void {
    const caller = this.#callerOf(flight);
    this.#parts.onDenied?.({ caller, verb: 'invoke', address: flight.target, verdict: this.judge(caller, 'invoke', flight.target) });
  }

  #callerOf({ originNodeId: nodeId, originOwner }: Flight): PolicyCaller {
    const member = this.#parts.store.read.member(nodeId);
    // What was taken in before the owner identity was kept with it has that of the member.
    return { nodeId, owner: originOwner ?? member?.owner ?? '', name: member?.name ?? nodeId };
  }

  #refusal(caller: PolicyCaller, target: string, verdict: Verdict): BrokerError {
    const { self } = this.#parts;
    const address = parseAddress(target);
    const node = address.node ?? self.nodeId;
    const hint =
      verdict.rule === undefined
        ? `its owner can allow it: on ${node}: beckon agent share ${shellAddress(address)} --with ${shellWord(caller.owner)}`
        : `see what its rules are: on ${node}: beckon policy show`;
    return denied(`${whoIs(caller)} may not invoke ${target}: it belongs to ${self.owner()}, and ${whyNot(verdict)}`, hint);
  }

  #rules(): readonly Rule[] {
    const { self } = this.#parts;
    const [owner, from] = [self.owner(), this.#file.rules];
    if (this.#compiled?.owner !== owner || this.#compiled.from !== from) this.#compiled = { owner, from, rules: [ownRule(owner), ...from] };
    return this.#compiled.rules;
  }

  #targetOf(address: string): PatternTarget {
    const { self } = this.#parts;
    const { agent, node = '', workspace = '' } = parseAddress(address);
    const isOwn = node === self.name() || node === self.nodeId;
    return { agent, node, workspace, nodeId: isOwn ? self.nodeId : (this.holderOf(node) ?? ('' as NodeId)) };
  }

  /** Whose that name is in this mesh. */
  holderOf(name: string): NodeId | undefined {
    const { store, self, membersRevision } = this.#parts;
    const revision = membersRevision?.() ?? Number.NaN;
    if (this.#holders?.revision !== revision) this.#holders = { revision, byName: new Map() };
    const { byName } = this.#holders;
    if (byName.has(name)) return byName.get(name);
    const others = store.read.membersNamed(name).filter((each) => belongs(each) && each.nodeId !== self.nodeId);
    const own = self.name() === name ? [{ nodeId: self.nodeId, name, notBeforeMs: self.namedSinceMs() }] : [];
    const holder = nameHolders([...others, ...own]).get(name);
    // Names are the callers' to choose: no more of them are kept than a mesh has members.
    if (byName.size < 10_000) byName.set(name, holder);
    return holder;
  }
}

/** A denial by a rule that does not ask the tailnet stays one, whatever the tailnet will say. */
function isCertain({ rule }: Verdict): boolean {
  return rule !== undefined && !rule.from.some(({ kind }) => kind === 'tag' || kind === 'capability');
}

/** What made a denial, for the caller: where the rule stands, and not what else is in it. */
function whyNot({ rule }: Verdict): string {
  if (rule === undefined) return 'no rule allows it';
  if (rule.flaw !== undefined) return `what the tailnet’s policy says of it can’t be understood: ${rule.flaw}`;
  switch (rule.source.kind) {
    case 'file':
      return `a rule denies it (${rule.source.where})`;
    case 'capability':
      return `a rule of the tailnet’s policy denies it (${rule.source.name})`;
    case 'default':
    case 'share':
      return 'a rule denies it';
  }
}

function whoIs({ owner, name }: PolicyCaller): string {
  return `${owner} (${name})`;
}

function shellWord(word: string): string {
  return /^[A-Za-z0-9_@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`;
}
