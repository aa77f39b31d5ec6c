/** Who enters a mesh by the word of the tailnet: the same user's machines at once, others by a rule, the rest wait. */
import type { NodeId } from './ids.ts';
import type { TailnetIdentity } from './tailnet.ts';

export const admitKinds = ['node', 'user', 'tag', 'capability'] as const;
export type AdmitKind = (typeof admitKinds)[number];

/** Given by a person at an issuer, known to every issuer, and never taken back by itself. */
export interface AdmitRule {
  readonly kind: AdmitKind;
  /** A node id, a login name, `tag:NAME`, the name of a capability. */
  readonly value: string;
}

/** A machine that asked to enter and was not let in yet. */
export interface Applicant {
  readonly nodeId: NodeId;
  /** As wished for. */
  readonly name: string;
  /** host:port that it asked from, or listens on. */
  readonly address: string;
  /** Of its user; undefined for a tagged machine. */
  readonly login?: string;
  readonly tags: readonly string[];
  readonly sinceMs: number;
  readonly why: string;
}

export type Verdict =
  /** @property owner the owner identity that its certificate gets */
  | { readonly kind: 'admit'; readonly owner: string }
  | { readonly kind: 'wait'; readonly why: string };

export interface Question {
  readonly identity: Pick<TailnetIdentity, 'user' | 'tags' | 'capabilities'>;
  /** Not known when it only asks. */
  readonly nodeId?: NodeId;
  /** This issuer's: its user in the tailnet, undefined when it is tagged, and the owner identity of its certificate. */
  readonly own: { readonly user?: string; readonly owner: string };
  readonly rules: readonly AdmitRule[];
}

/**
 * A tagged machine belongs to its tag, never to a person: to the one that a rule names, else to its first. A machine of the
 * issuer's own user belongs to whom the issuer belongs.
 */
export function judgeApplicant({ identity, nodeId, own, rules }: Question): Verdict {
  const { user, tags, capabilities } = identity;
  const isRule = (kind: AdmitKind, value: string): boolean => rules.some((rule) => rule.kind === kind && rule.value === value);
  const isTagged = tags.length > 0;
  if (!isTagged && user === undefined) return { kind: 'wait', why: 'its tailnet knows no user of it' };
  if (!isTagged && user === own.user) return { kind: 'admit', owner: own.owner };
  const ruledTag = tags.find((tag) => isRule('tag', tag));
  const owner = ruledTag ?? (isTagged ? tags.toSorted()[0] : user) ?? '';
  const isAdmitted =
    ruledTag !== undefined ||
    (!isTagged && user !== undefined && isRule('user', user)) ||
    (nodeId !== undefined && isRule('node', nodeId)) ||
    [...capabilities.keys()].some((name) => isRule('capability', name));
  if (isAdmitted) return { kind: 'admit', owner };
  return { kind: 'wait', why: isTagged ? `it is tagged ${tags.join(', ')}, and no rule admits that` : `it belongs to ${user}, and no rule admits that user` };
}

/** What is wrong with the value of a rule; undefined when nothing is. */
export function flawOfRule({ kind, value }: AdmitRule): string | undefined {
  if (value === '' || value.length > 200 || /[\s\p{C}]/u.test(value)) return 'it is empty, too long, or has spaces';
  if (kind === 'tag' && !/^tag:[A-Za-z][A-Za-z0-9-]*$/.test(value)) return 'a tag looks like tag:server';
  if (kind === 'capability' && !/^[A-Za-z0-9.-]+\/./.test(value)) return 'a capability looks like example.com/cap/beckon';
  return undefined;
}
