/**
 * Who may do what with an agent: pure rules, decided on the agent's own node. A rule allows or denies; a rule that
 * denies wins over all that allow, and what no rule allows is denied. So order does not matter, and more rules that
 * allow take nothing from anybody, as more that deny give nothing.
 */
import { coversAgent } from './agent-pattern.ts';
import type { AgentPattern, PatternTarget } from './agent-pattern.ts';
import { coversCaller } from './policy-caller.ts';
import type { CallerFacts, CallerPattern, PolicyCaller } from './policy-caller.ts';
import type { Share } from './sharing.ts';

export type { PolicyCaller } from './policy-caller.ts';

/**
 * `invoke`: have an agent do work, and all that goes with own work: its output, its questions, its end. `control`: answer
 * and approve what the work of others waits for. `inspect`: see the work of others, as lists, traces and facts.
 */
export const verbs = ['invoke', 'control', 'inspect'] as const;
export type Verb = (typeof verbs)[number];

/** Where a rule comes from. */
export type RuleSource =
  | { readonly kind: 'default' }
  /** @property where name of the file, line and column */
  | { readonly kind: 'file'; readonly where: string }
  /** @property address of the agent that is shared */
  | { readonly kind: 'share'; readonly address: string }
  /** @property of whom the policy of the tailnet says it: the name of the machine there */
  | { readonly kind: 'capability'; readonly name: string; readonly of: string };

export interface Rule {
  readonly effect: 'allow' | 'deny';
  readonly verbs: readonly Verb[];
  readonly from: readonly CallerPattern[];
  /** Left out: all agents of this node. */
  readonly agents?: readonly AgentPattern[];
  readonly source: RuleSource;
  /** Of rules that could not be understood: why, so that whom they are about is denied everything. */
  readonly flaw?: string;
}

/** @property target left out: of the node, not of one agent */
export interface Question extends CallerFacts {
  readonly caller: PolicyCaller;
  readonly verb: Verb;
  readonly target?: PatternTarget | undefined;
}

/** @property rule the one that made it; none: nothing allows it */
export interface Verdict {
  readonly isAllowed: boolean;
  readonly rule?: Rule;
}

/** The rule that holds without any other: the node's own owner identity may do all, by certificates alone. */
export function ownRule(owner: string): Rule {
  return { effect: 'allow', verbs, from: [{ kind: 'person', name: owner }], source: { kind: 'default' } };
}

/** Of the agent at that address: whom it is shared with may invoke it. */
export function rulesOfShares(address: string, shares: readonly Share[]): readonly Rule[] {
  return shares.map((share) => ({ effect: 'allow', verbs: ['invoke'], from: [patternOf(share)], source: { kind: 'share', address } }));
}

function patternOf(share: Share): CallerPattern {
  switch (share.with) {
    case 'all':
      return { kind: 'all' };
    case 'person':
      return { kind: 'person', name: share.name };
    case 'node':
      return { kind: 'node-id', nodeId: share.nodeId };
  }
}

/** Those of one agent's shares among them are taken for that agent's: the caller reads no others. */
export function decide(question: Question, rules: readonly Rule[]): Verdict {
  let allowing: Rule | undefined;
  for (const rule of rules) {
    const isDenial = rule.effect === 'deny';
    if ((!isDenial && allowing !== undefined) || !covers(rule, question)) continue;
    if (isDenial) return { isAllowed: false, rule };
    allowing = rule;
  }
  return allowing === undefined ? { isAllowed: false } : { isAllowed: true, rule: allowing };
}

function covers(rule: Rule, question: Question): boolean {
  const { effect, from } = rule;
  const { caller, verb } = question;
  const isDenial = effect === 'deny';
  return rule.verbs.includes(verb) && from.some((each) => coversCaller(each, caller, question, isDenial)) && coversTarget(rule, question.target);
}

/** What is of the whole node shows every agent: a denial of one of them closes it, and an allowance of some does not open it. */
function coversTarget({ effect, agents }: Rule, target: PatternTarget | undefined): boolean {
  if (agents === undefined) return true;
  return target === undefined ? effect === 'deny' : agents.some((each) => coversAgent(each, target));
}
