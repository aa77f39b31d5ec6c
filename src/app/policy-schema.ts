/** How rules are written, in the policy file and in a capability of the tailnet alike, and what is made of them. */
import { z } from 'zod';
import { parseAgentPattern } from '../domain/agent-pattern.ts';
import { toBrokerError } from '../domain/errors.ts';
import { parseCaller } from '../domain/policy-caller.ts';
import { verbs } from '../domain/policy.ts';
import type { Rule, RuleSource } from '../domain/policy.ts';

const most = { entries: 100, rules: 500 } as const;

function read<Value>(parse: (text: string) => Value): z.ZodType<Value, string> {
  return z.string().transform((text, context) => {
    try {
      return parse(text);
    } catch (error) {
      const { message, hint } = toBrokerError(error);
      context.addIssue(hint === undefined ? message : `${message} (${hint})`);
      return z.NEVER;
    }
  });
}

const list = <Entry extends z.ZodType>(entry: Entry): z.ZodArray<Entry> => z.array(entry).min(1, 'is empty').max(most.entries, `has more than ${most.entries} entries`);

const agents = list(read(parseAgentPattern)).optional();
const rule = { agents, verbs: list(z.enum(verbs)) };
const rules = <Of extends z.ZodType>(of: Of): z.ZodOptional<z.ZodArray<Of>> => z.array(of).max(most.rules, `has more than ${most.rules} rules`).optional();

export const ruleInFile = z.strictObject({ from: list(read(parseCaller)), ...rule });
/** Of whom the tailnet says it: `from` can only say less. */
const ruleInCapability = z.strictObject({ from: list(read(parseCaller)).optional(), ...rule });

export const policySchema = z.strictObject({ allow: rules(ruleInFile), deny: rules(ruleInFile) });
export const capabilitySchema = z.strictObject({ allow: rules(ruleInCapability), deny: rules(ruleInCapability) });

type Written = z.output<typeof capabilitySchema>;

/** @param sourceOf where the rule of that number among those of its effect stands */
export function compile({ allow = [], deny = [] }: Written, sourceOf: (effect: Rule['effect'], index: number) => RuleSource): readonly Rule[] {
  const compiled = (effect: Rule['effect'], all: NonNullable<Written['allow']>): readonly Rule[] =>
    all.map(({ from = [{ kind: 'all' }], agents: patterns, verbs: these }, index) => ({ effect, verbs: these, from, ...(patterns === undefined ? {} : { agents: patterns }), source: sourceOf(effect, index) }));
  return [...compiled('deny', deny), ...compiled('allow', allow)];
}
