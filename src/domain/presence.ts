/**
 * How busy nodes are, true only now: told by each node of itself, kept in memory by the others, gone when it is old. The
 * arithmetic; who tells and hears it is in broker/presence.ts.
 */
import { parseAddress } from './address.ts';
import type { NodeId } from './ids.ts';

export interface AgentLoad {
  readonly address: string;
  readonly running: number;
  readonly queued: number;
}

export interface Presence {
  readonly nodeId: NodeId;
  readonly epoch: number;
  /** Greater with each of the same epoch. */
  readonly number: number;
  /** Of all agents, those too that are not named. */
  readonly running: number;
  readonly queued: number;
  /** The busiest of those that others see; of one that is not here nothing runs or waits. */
  readonly agents: readonly AgentLoad[];
}

export interface Load {
  readonly running: number;
  readonly queued: number;
  /** Since that was heard of its node, ms; 0 for this node's own. */
  readonly ageMs: number;
}

/** At the latest, while anything runs or waits; sooner when it changes, … */
export const presenceEveryMs = 30_000;
/** … and no sooner than this after the last. */
export const presenceSoonestMs = 1_000;
/** Three that were missed: nothing is known any more. */
export const presenceLastsMs = 90_000;
/** A node at rest says so seldom: what begins there is told at once, and again every 30 s, so that a word that got lost is made good soon. */
export const restEveryMs = 300_000;
export const restLastsMs = 900_000;
/** So often it says so at the usual pace. */
export const restSaid = 2;
/** Agents that one presence names. */
export const mostLoads = 100;

/** Of one node within `windowMs`: twice what an honest one says. */
const mostInWindow = 20;
const windowMs = 10_000;

interface Entry {
  readonly presence: Presence;
  readonly loads: ReadonlyMap<string, AgentLoad>;
  readonly heardAtMs: number;
}

export class Presences {
  readonly #entries = new Map<NodeId, Entry>();
  /** How many were heard of a node since when. Outlives its entry: what was dropped is not believed again. */
  readonly #heard = new Map<NodeId, { epoch: number; number: number; count: number; sinceMs: number }>();

  /** Whether it is newer than what was heard, and not one of too many. */
  isNews({ nodeId, epoch, number }: Pick<Presence, 'nodeId' | 'epoch' | 'number'>, nowMs: number): boolean {
    const last = this.#heard.get(nodeId);
    if (last === undefined) return true;
    if (epoch < last.epoch || (epoch === last.epoch && number <= last.number)) return false;
    return nowMs - last.sinceMs >= windowMs || last.count < mostInWindow;
  }

  /** One whose signature holds, and that is news. @param nowMs monotonic */
  add(presence: Presence, nowMs: number): void {
    const { nodeId, epoch, number, agents } = presence;
    const last = this.#heard.get(nodeId);
    const goesOn = last !== undefined && nowMs - last.sinceMs < windowMs;
    this.#heard.set(nodeId, { epoch, number, count: goesOn ? last.count + 1 : 1, sinceMs: goesOn ? last.sinceMs : nowMs });
    this.#entries.set(nodeId, { presence, loads: new Map(agents.map((each) => [localPart(each.address), each])), heardAtMs: nowMs });
  }

  /** The node is away: what it said holds no more. */
  drop(nodeId: NodeId): void {
    this.#entries.delete(nodeId);
  }

  /** What it said last is news once more. */
  mayRepeat(nodeId: NodeId): void {
    const last = this.#heard.get(nodeId);
    if (last !== undefined && !this.#entries.has(nodeId)) last.number -= 1;
  }

  /** Of those that are members no longer nothing is kept. */
  retain(isMember: (nodeId: NodeId) => boolean): void {
    for (const nodeId of this.#heard.keys()) {
      if (isMember(nodeId)) continue;
      this.#heard.delete(nodeId);
      this.#entries.delete(nodeId);
    }
  }

  /** Undefined when nothing is known of the node now. */
  load(nodeId: NodeId, address: string, nowMs: number): Load | undefined {
    const entry = this.#entries.get(nodeId);
    if (entry === undefined) return undefined;
    const ageMs = Math.max(0, Math.round(nowMs - entry.heardAtMs));
    if (ageMs >= (isAtRest(entry.presence) ? restLastsMs : presenceLastsMs)) {
      this.#entries.delete(nodeId);
      return undefined;
    }
    const { running = 0, queued = 0 } = entry.loads.get(localPart(address)) ?? {};
    return { running, queued, ageMs };
  }
}

export function isAtRest({ running, queued }: Pick<Presence, 'running' | 'queued'>): boolean {
  return running + queued === 0;
}

/** Alike whatever its node is called at the moment. */
export function localPart(address: string): string {
  const { agent, workspace = '' } = parseAddress(address);
  return `${agent}#${workspace}`;
}
