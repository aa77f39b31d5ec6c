/** What a node says of its rules. @throws BrokerError `incompatible` for words that this version does not know */
import type { PolicyCheck, PolicyView, RuleView, StandingView } from '../broker/policy-api.ts';
import { BrokerError } from '../domain/errors.ts';
import { asNodeId } from '../domain/ids.ts';
import { verbs } from '../domain/policy.ts';
import { quoted } from '../domain/text.ts';
import type * as wire from '../gen/beckon/v1/policy.ts';

const effects = ['allow', 'deny'] as const;
const sources = ['default', 'file', 'share', 'capability'] as const satisfies readonly RuleView['source'][];
const kinds = ['known', 'unknown', 'none'] as const satisfies readonly StandingView['kind'][];

export function decodePolicy({ owner, path, exists, stale, flaws, rules, moreShares, callers }: wire.ShowPolicyResponse): PolicyView {
  return {
    owner,
    file: { path, exists, isStale: stale, flaws: flaws.map(({ line, column, ...rest }) => ({ ...rest, ...(line === 0 ? {} : { line, column }) })) },
    rules: rules.map(decodeRule),
    moreShares,
    callers: callers.map(({ nodeId, kind, ...rest }) => ({ ...rest, nodeId: asNodeId(nodeId), kind: known(kinds, kind) })),
  };
}

export function decodePolicyCheck({ allowed, rule, verb, ...rest }: wire.CheckPolicyResponse): PolicyCheck {
  return { ...rest, isAllowed: allowed, verb: known(verbs, verb), ...(rule === undefined ? {} : { rule: decodeRule(rule) }) };
}

function decodeRule({ effect, source, verbs: these, ...rest }: wire.PolicyRule): RuleView {
  return { ...rest, effect: known(effects, effect), source: known(sources, source), verbs: these.map((each) => known(verbs, each)) };
}

function known<Word extends string>(words: readonly Word[], word: string): Word {
  const found = words.find((each) => each === word);
  if (found !== undefined) return found;
  throw new BrokerError('incompatible', `the word ${quoted(word)} of a policy is not known to this version of Beckon`, { hint: 'update Beckon on this machine' });
}
