/** Rules that an organisation keeps in the policy of its tailnet: values of one capability, granted to whom they are about. */
import type { Rule } from '../domain/policy.ts';
import { verbs } from '../domain/policy.ts';
import { readBy } from '../domain/read-by.ts';
import type { TailnetIdentity } from '../domain/tailnet.ts';
import { capabilitySchema, compile } from './policy-schema.ts';
import { notReadable, pathOf, wordsOfIssue, wordsOfPath } from './toml-flaws.ts';

/** In a domain that is nobody's (RFC 9476 and ICANN keep `internal` for private use), so that no other program means it. */
export const policyCapability = 'beckon.internal/cap/policy';

const mostValues = 100;

/**
 * Of the machine that was granted them, for calls to this one. A value that can't be understood might have denied
 * something: whom it is about is denied everything, with the reason.
 */
export function rulesOfCapability({ name, capabilities }: Pick<TailnetIdentity, 'name' | 'capabilities'>): readonly Rule[] {
  const values = capabilities.get(policyCapability) ?? [];
  const source = { kind: 'capability', name: policyCapability, of: name } as const;
  const broken = (flaw: string): Rule => ({ effect: 'deny', verbs, from: [{ kind: 'all' }], source, flaw });
  if (values.length > mostValues) return [broken(`it has ${values.length} values, more than ${mostValues}`)];
  return values.flatMap((value, index): readonly Rule[] => {
    const read = readBy(capabilitySchema, value);
    if (read === undefined) return [broken(`value ${index + 1}: ${notReadable}`)];
    if (read.success) return compile(read.data, () => source);
    const [issue] = read.error.issues;
    return [broken(`value ${index + 1}: ${issue === undefined ? 'not understood' : `${wordsOfPath(pathOf(issue))}${wordsOfIssue(issue, value)}`}`)];
  });
}
