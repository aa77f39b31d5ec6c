/** What callers remember of what they asked and what they were told: the half of the truth that is outside the databases. */
import type { AgentKind } from './agents.ts';

export interface SeenEvent {
  readonly seq: number;
  readonly kind: string;
  readonly bytes: number;
}

export interface Answer {
  readonly invocationId: string;
  readonly flightId: string;
  readonly deduplicated: boolean;
}

export interface CallNote {
  readonly id: number;
  readonly origin: string;
  readonly owner: string;
  readonly target: string;
  readonly kind: AgentKind;
  /** In the task, so that an invocation can be recognized where no answer came. */
  readonly mark: string;
  readonly task: string;
  readonly key: string | undefined;
  readonly rerunnable: boolean;
  readonly noHold: boolean;
  readonly holdMs: number | undefined;
  readonly answers: Answer[];
  /** Tries that ended without an answer. */
  lost: number;
  /** Codes of errors that were the node's answer. */
  readonly refusals: string[];
  readonly seen: Map<number, SeenEvent>;
  wasReceived: boolean;
  finished: { readonly state: string; readonly invocationId: string } | undefined;
  cancel: 'asked' | 'confirmed' | undefined;
  /** The code that the same key with another task was answered with. */
  probe: { readonly mark: string; readonly code: string } | undefined;
}
