/** The rules in force and what they come to, for people: the port upwards of the policy. */
import type { NodeId } from '../domain/ids.ts';
import type { RuleSource, Verb } from '../domain/policy.ts';
import type { PolicyFileView } from '../domain/policy-port.ts';

export interface RuleView {
  readonly effect: 'allow' | 'deny';
  /** As the file has them. */
  readonly from: readonly string[];
  readonly agents: readonly string[];
  readonly verbs: readonly Verb[];
  readonly source: RuleSource['kind'];
  /** The file with line and column, the agent that is shared, or the capability and the machine that has it; empty for the default. */
  readonly where: string;
  /** What whoever wrote it should know: what a name stands for now, why it can't be understood. */
  readonly notes: readonly string[];
}

/** What the tailnet says of a node that calls, or did since this node started. */
export interface StandingView {
  readonly nodeId: NodeId;
  readonly name: string;
  readonly kind: 'known' | 'unknown' | 'none';
  /** Empty when it is known. */
  readonly why: string;
  readonly tags: readonly string[];
  readonly capabilities: readonly string[];
}

export interface PolicyView {
  readonly owner: string;
  readonly file: PolicyFileView;
  readonly rules: readonly RuleView[];
  /** Shares that are not among the rules, since there are so many. */
  readonly moreShares: number;
  /** Nodes with a session now. */
  readonly callers: readonly StandingView[];
}

export interface PolicyCheckInput {
  /** A node's name or id, a person, `node:NAME`, `person:NAME`, `tag:NAME`, or `cap:NAME` for whoever has no more than that. */
  readonly caller: string;
  readonly verb: Verb;
  readonly address: string;
}

export interface PolicyCheck {
  readonly isAllowed: boolean;
  /** Left out: no rule allows it. */
  readonly rule?: RuleView;
  /** Canonical. */
  readonly address: string;
  readonly verb: Verb;
  /** Whom it is about, in words. */
  readonly caller: string;
  readonly notes: readonly string[];
}

export interface PolicyApi {
  showPolicy(): Promise<PolicyView>;
  /**
   * As it would be decided now; asks nobody and changes nothing.
   * @throws `not_found`, `ambiguous` for caller or agent, `invalid`, `conflict` for an agent of another node, which alone decides
   */
  checkPolicy(input: PolicyCheckInput): Promise<PolicyCheck>;
}
