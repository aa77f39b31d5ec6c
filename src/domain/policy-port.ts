/** What the judgement of callers is given from outside: the rules of the file, and what the tailnet says of who calls. */
import type { ConfigFlaw } from './config-view.ts';
import type { NodeId } from './ids.ts';
import type { Rule } from './policy.ts';
import type { TailnetStanding } from './policy-caller.ts';

export interface PolicyFileView {
  readonly path: string;
  readonly exists: boolean;
  /** What is wrong with the file as it is now. A node that runs goes on with what it read before. */
  readonly flaws: readonly ConfigFlaw[];
  /** The file, as it is now, says something else than what is in force. */
  readonly isStale: boolean;
}

/** The policy file of this node. */
export interface PolicyFile {
  /** In force: compiled, in memory. The same array until it changes. */
  readonly rules: readonly Rule[];
  /** Told after each change of what is in force. */
  onChange(listener: () => void): void;
  view(): Promise<PolicyFileView>;
}

/** @property rules that the policy of the tailnet has of that machine */
export interface CallerStanding {
  readonly tailnet: TailnetStanding;
  readonly rules: readonly Rule[];
}

/** What the tailnet says of callers, kept fresh, in memory. */
export interface CallerStandings {
  standingOf(nodeId: NodeId): CallerStanding;
  /** Resolves when the tailnet has been asked of a session that has just begun; undefined when there is nothing to wait for. Never rejects. */
  settled(nodeId: NodeId): Promise<void> | undefined;
  /** Told after each change of what is said of a caller. */
  onChange(listener: (nodeId: NodeId) => void): void;
}

const outside: CallerStanding = { tailnet: { kind: 'none', why: 'Tailscale is off here' }, rules: [] };

/** Where there is no tailnet. */
export const noStandings: CallerStandings = { standingOf: () => outside, settled: () => undefined, onChange: () => undefined };

export const noPolicyFile: PolicyFile = { rules: [], onChange: () => undefined, view: () => Promise.resolve({ path: '', exists: false, flaws: [], isStale: false }) };
