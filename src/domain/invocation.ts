/** A request for work as its origin accepted it, and the limits it runs under. */
import type { AgentId, GroupId, InvocationId, NodeId } from './ids.ts';
import { invalid } from './errors.ts';
import type { TraceContext } from './trace-context.ts';
import type { Checkout } from './worktree.ts';

export interface TaskFile {
  /** A base name; never a path. */
  readonly name: string;
  readonly bytes: Uint8Array;
}

/** What the agent is to do: the payload. Pruned before the records that speak of it. */
export interface Task {
  readonly text: Uint8Array;
  readonly files: readonly TaskFile[];
}

export type SessionChoice =
  | { readonly mode: 'new' }
  | { readonly mode: 'continue' }
  | { readonly mode: 'named'; readonly name: string };

/** Durations in ms. The hold and total deadlines always exist; run and idle limits may be absent. */
export interface Limits {
  /** From acceptance to start. */
  readonly holdMs: number;
  /** From acceptance to a terminal state. */
  readonly totalMs: number;
  /** From start to end of one run. */
  readonly runMs?: number;
  /** Longest silence of a running agent. */
  readonly idleMs?: number;
}

export const defaultHoldMs = 24 * 3_600_000;
export const defaultTotalMs = 7 * 24 * 3_600_000;
export const maxTaskBytes = 16 * 1024 * 1024;
/** Of an idempotency key, UTF-16 units. */
export const maxKeyLength = 256;

/** Which invocation caused this one. `depth` 0 has no parent and is its own root. */
export interface Ancestry {
  readonly parentId?: InvocationId;
  readonly rootId: InvocationId;
  readonly depth: number;
  /** Targets of its ancestors, canonical, the root first; as many as `depth`. */
  readonly path: readonly string[];
}

export interface Invocation {
  readonly id: InvocationId;
  readonly originNodeId: NodeId;
  /** Who asked, at the origin: `uid:501`, or `agent:@fabric@laptop#main` for a process of a flight. */
  readonly caller: string;
  /** The address as typed. */
  readonly addressTyped: string;
  /** The chosen instance, canonical. */
  readonly target: string;
  readonly ownerNodeId: NodeId;
  readonly session: SessionChoice;
  readonly limits: Limits;
  readonly rerunnable: boolean;
  readonly ancestry: Ancestry;
  readonly redriveOf?: InvocationId;
  /** Accepted together with others. Known at the origin only. */
  readonly groupId?: GroupId;
  /** The distributed trace that it belongs to, as this node was told it. */
  readonly trace?: TraceContext;
  /** The origin's wall clock, ms. */
  readonly acceptedAtMs: number;
}

/** What is asked, and of whom. */
export interface Work {
  readonly invocation: Invocation;
  readonly task: Task;
}

/** How an instance is reached. Stays on its node. */
export interface Endpoint {
  readonly agentId: AgentId;
  readonly address: string;
  readonly harness: string;
  readonly cwd: string;
  readonly argv: readonly string[];
  /** NAME passes the node's own value on; NAME=VALUE is kept in this node's store. */
  readonly env: readonly string[];
  /** PATH as captured when the agent was added. */
  readonly path: string;
  readonly permissions: Permissions;
  /** Each flight runs in a git worktree of its own. */
  readonly isolate: boolean;
  /** Runs at once; as many as is usual when absent. */
  readonly concurrency?: number;
  /** Invocations that may wait for it; as many as is usual when absent. */
  readonly queue?: number;
  /** When `cwd` was in a linked git worktree, and could go with it. */
  readonly checkout?: Checkout;
}

export const permissions = ['ask', 'edit', 'full'] as const;
export type Permissions = (typeof permissions)[number];

/** With its files. */
export function taskBytes(task: Task): number {
  return task.files.reduce((sum, file) => sum + file.bytes.length, task.text.length);
}

/** @throws BrokerError `invalid` when the task and its files are over 16 MiB together */
export function checkTaskSize(task: Task): void {
  const bytes = taskBytes(task);
  if (bytes > maxTaskBytes)
    throw invalid(`the task has ${bytes} bytes, more than the ${maxTaskBytes} allowed`, 'put large input into a file on the agent’s machine and name it in the task');
}


/** @returns the key. @throws BrokerError `invalid` when it is empty or too long */
export function checkKey(key: string): string {
  if (key !== '' && key.length <= maxKeyLength) return key;
  throw invalid(`an idempotency key has 1 to ${maxKeyLength} characters`);
}
