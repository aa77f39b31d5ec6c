/** What the store is given when a node accepts work: an invocation, or several of one request. */
import type { FailureReason } from './delivery.ts';
import type { Stamp } from './event.ts';
import type { AttemptId } from './ids.ts';
import type { Invocation, Task } from './invocation.ts';

/**
 * How a new invocation leaves: it is ours (`queueLimit`: of an agent that names none itself; `retryAfterMs`: when a place may
 * be free; `sessionOwner`: whose sessions, for an agent that keeps some); a link is up
 * and it goes now (attempt 1); or it waits, and why (`heldLimit`: how many may wait for its node).
 */
export type AcceptPlan =
  | { readonly kind: 'local'; readonly queueLimit: number; readonly retryAfterMs?: number; readonly sessionOwner?: string }
  | { readonly kind: 'send'; readonly attemptId: AttemptId }
  | { readonly kind: 'defer'; readonly reason: FailureReason; readonly detail: string; readonly heldLimit?: number };

export interface AcceptInput {
  readonly stamp: Stamp;
  readonly invocation: Invocation;
  readonly task: Task;
  /** The idempotency key, scoped by `invocation.caller`. */
  readonly key?: string;
  /** Of the request as typed: address, task, files, session. */
  readonly payloadHash: string;
  readonly plan: AcceptPlan;
  /** Its person is to be told when it waits and when it has finished. */
  readonly notify?: boolean;
}

/** Each of its `members` as one that is accepted alone; the task and all else are the same. */
export interface AcceptAllInput extends Omit<AcceptInput, 'invocation' | 'plan'> {
  readonly members: readonly Pick<AcceptInput, 'invocation' | 'plan'>[];
}
