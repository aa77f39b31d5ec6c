/** The rules in force and what they come to, for local clients. */
import type { LocalCaller } from '../broker/api.ts';
import type { PolicyApi, RuleView } from '../broker/policy-api.ts';
import { invalid } from '../domain/errors.ts';
import { verbs } from '../domain/policy.ts';
import type { Verb } from '../domain/policy.ts';
import { quoted } from '../domain/text.ts';
import type { ControlServiceServer } from '../gen/beckon/v1/control.ts';
import type * as wire from '../gen/beckon/v1/policy.ts';
import { unary } from '../rpc/handler.ts';
import type { Edge } from '../rpc/handler.ts';

export function policyHandlers(api: PolicyApi, edge: Edge<LocalCaller>): Pick<ControlServiceServer, 'showPolicy' | 'checkPolicy'> {
  return {
    showPolicy: unary(edge, async () => {
      const { owner, file, rules, moreShares, callers } = await api.showPolicy();
      return {
        ...{ owner, path: file.path, exists: file.exists, stale: file.isStale, moreShares },
        flaws: file.flaws.map(({ line = 0, column = 0, ...rest }) => ({ ...rest, line, column })),
        rules: rules.map(encodeRule),
        callers: callers.map((each) => ({ ...each, tags: [...each.tags], capabilities: [...each.capabilities] })),
      };
    }),
    checkPolicy: unary(edge, async (_caller, { caller, verb, address }) => {
      const { isAllowed: allowed, rule, notes, ...rest } = await api.checkPolicy({ caller, verb: decodeVerb(verb), address });
      return { ...rest, allowed, rule: rule === undefined ? undefined : encodeRule(rule), notes: [...notes] };
    }),
  };
}

function decodeVerb(text: string): Verb {
  const verb = verbs.find((each) => each === text);
  if (verb === undefined) throw invalid(`${quoted(text)} is no verb`, `one of ${verbs.join(', ')}`);
  return verb;
}

function encodeRule({ from, agents, verbs: these, notes, ...rest }: RuleView): wire.PolicyRule {
  return { ...rest, from: [...from], agents: [...agents], verbs: [...these], notes: [...notes] };
}
