/**
 * Who may do what with an agent: pure rules, decided on the agent's own node. A rule allows or denies; a rule that
 * denies wins over all that allow, and what no rule allows is denied. So order does not matter.
 */
import type { NodeId } from './ids.ts';
import type { Share } from './sharing.ts';

export const verbs = ['invoke', 'control', 'inspect'] as const;
export type Verb = (typeof verbs)[number];

/** The calling node, as its certificate says; never what a message says of itself. */
export interface PolicyCaller {
  readonly nodeId: NodeId;
  readonly name: string;
  /** Owner identity. */
  readonly owner: string;
}

/** The node that decides, and whom its person shares the agent in question with. */
export interface PolicyTarget {
  readonly owner: string;
  readonly shares: readonly Share[];
}

export interface Rule {
  readonly effect: 'allow' | 'deny';
  readonly verbs: readonly Verb[];
  /** In words that a person knows again: `shared with bob`. */
  readonly words: string;
  covers(caller: PolicyCaller): boolean;
}

export interface Verdict {
  readonly isAllowed: boolean;
  /** The rule that made it, in words. */
  readonly rule: string;
}

/** The rules that hold without any file: the node's own person may do all; whom it shares an agent with may invoke it. */
export function rulesFor(target: PolicyTarget): readonly Rule[] {
  const own: Rule = { effect: 'allow', verbs, words: `of the same owner, ${target.owner}`, covers: (caller) => caller.owner === target.owner };
  return [own, ...target.shares.map(ruleOf)];
}

function ruleOf(share: Share): Rule {
  const allow = { effect: 'allow', verbs: ['invoke'] } as const;
  switch (share.with) {
    case 'all':
      return { ...allow, words: 'shared with all members', covers: () => true };
    case 'person':
      return { ...allow, words: `shared with ${share.name}`, covers: (caller) => caller.owner === share.name };
    case 'node':
      return { ...allow, words: `shared with the node ${share.nodeId}`, covers: (caller) => caller.nodeId === share.nodeId };
  }
}

export function decide(caller: PolicyCaller, verb: Verb, rules: readonly Rule[]): Verdict {
  const that = rules.filter((rule) => rule.verbs.includes(verb) && rule.covers(caller));
  const denial = that.find(({ effect }) => effect === 'deny');
  if (denial !== undefined) return { isAllowed: false, rule: denial.words };
  const [first] = that;
  return first === undefined ? { isAllowed: false, rule: 'no rule allows it' } : { isAllowed: true, rule: first.words };
}
