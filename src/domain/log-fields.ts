/**
 * All that a line of the log may hold besides its words: a closed list. What is not here can't be logged (it does not
 * type check, and what gets through untyped is dropped), so that no task, output, token, key, argument or environment
 * of anybody gets into a file by accident. A name means the same on every line.
 */
import type { NodeId } from './ids.ts';

/** From the least to the most. */
export const logLevels = ['debug', 'info', 'warn', 'error'] as const;
export type LogLevel = (typeof logLevels)[number];

export interface LogFields {
  /** Another node: its name and its id. The id of the node that writes is on each line, as `nodeId`. */
  readonly peer?: string | undefined;
  readonly peerId?: string | undefined;
  /** The work that it is about; a flight's invocation is added where it is left out. */
  readonly invocationId?: string | undefined;
  readonly flightId?: string | undefined;
  readonly deliveryId?: string | undefined;
  readonly requestId?: string | undefined;

  /** An address of an agent, canonical. */
  readonly agent?: string | undefined;
  readonly harness?: string | undefined;
  /** What an agent calls the way that it works in. */
  readonly mode?: string | undefined;
  /** The root of a project. */
  readonly project?: string | undefined;
  readonly held?: number | undefined;
  /** A worktree, by its name. */
  readonly worktree?: string | undefined;
  readonly branch?: string | undefined;
  readonly directory?: string | undefined;
  readonly file?: string | undefined;
  readonly pid?: number | undefined;
  /** How many processes were ended. */
  readonly processes?: number | undefined;

  /** A mesh: its name and its id. */
  readonly mesh?: string | undefined;
  readonly meshId?: string | undefined;
  /** Who did it: a node's name, or a person's. */
  readonly by?: string | undefined;
  readonly owner?: string | undefined;
  /** A name of this node or of another that changed. */
  readonly name?: string | undefined;
  readonly was?: string | undefined;
  /** Rules of admission, as `mesh admit` takes them. */
  readonly rules?: readonly string[] | undefined;

  /** host:port */
  readonly address?: string | undefined;
  readonly addresses?: readonly string[] | undefined;
  /** Of two connections of one peer. */
  readonly kept?: string | undefined;
  readonly refused?: string | undefined;
  /** A host of the tailnet, or the collector of traces. */
  readonly host?: string | undefined;
  /** A message between nodes, by its kind. */
  readonly frame?: string | undefined;
  /** A method of the control or mesh service. */
  readonly call?: string | undefined;
  /** Who ended a session, by what was said. */
  readonly saidBy?: string | undefined;
  readonly version?: string | undefined;

  readonly from?: string | undefined;
  readonly to?: string | undefined;
  /** Of a closed enum. */
  readonly reason?: string | undefined;
  /** Of `errorCodes`. */
  readonly code?: string | undefined;
  /** Beckon's own words, or a system's. */
  readonly why?: string | undefined;
  readonly hint?: string | undefined;
  /** What was thrown: of ours its code and words; of others only what can't hold anybody's text. */
  readonly err?: unknown;
  readonly chore?: string | undefined;
  readonly settings?: readonly string[] | undefined;

  readonly epoch?: number | undefined;
  readonly previousEpoch?: number | undefined;
  readonly newestEpoch?: number | undefined;
  readonly newestFact?: number | undefined;
  /** An epoch that a peer has seen. */
  readonly seen?: number | undefined;
  /** What a rollback was seen by. */
  readonly evidence?: string | undefined;
  readonly ended?: number | undefined;
  readonly flights?: number | undefined;
  readonly outputs?: number | undefined;
  readonly records?: number | undefined;
  readonly bytes?: number | undefined;
  readonly count?: number | undefined;
  readonly told?: number | undefined;
  readonly of?: number | undefined;
  readonly queued?: number | undefined;
  readonly running?: number | undefined;
  readonly links?: number | undefined;
  readonly lost?: number | undefined;
}

export type LogField = keyof LogFields;

/** Of another node, for a line about it. */
export function peerFields({ name, nodeId }: { readonly name: string; readonly nodeId: NodeId | string }): { readonly peer: string; readonly peerId: string } {
  return { peer: name, peerId: nodeId };
}
