/** A node's own word that it is a member no longer. */
import type { NodeId } from './ids.ts';

export interface Departure {
  readonly nodeId: NodeId;
  /** From when on its last certificate was in force, ms: a later one makes it a member again. */
  readonly certifiedAtMs: number;
  readonly leftAtMs: number;
}
