/**
 * Who has passed on what nobody honest passes on: each node judges news before it does, so a neighbour whose news are
 * rejected again and again is broken or hostile. It is shunned for a while; its sessions are judged by others. Pure.
 */
import type { NodeId } from '../domain/ids.ts';

/** So many within that time. A few come about by themselves, when two nodes know different things. */
export const mostFaults = 20;
const faultsWithinMs = 60_000;
export const shunnedMs = 5 * 60_000;

interface Record {
  faults: number;
  sinceMs: number;
  shunnedUntilMs: number;
}

export class Conduct {
  readonly #records = new Map<NodeId, Record>();

  /** True when that was one too many: it is shunned from now on. */
  fault(nodeId: NodeId, nowMs: number): boolean {
    const record = this.#records.get(nodeId) ?? { faults: 0, sinceMs: nowMs, shunnedUntilMs: 0 };
    this.#records.set(nodeId, record);
    if (nowMs - record.sinceMs > faultsWithinMs) Object.assign(record, { faults: 0, sinceMs: nowMs });
    record.faults += 1;
    if (record.faults < mostFaults || nowMs < record.shunnedUntilMs) return false;
    Object.assign(record, { faults: 0, shunnedUntilMs: nowMs + shunnedMs });
    return true;
  }

  isShunned(nodeId: NodeId, nowMs: number): boolean {
    return nowMs < (this.#records.get(nodeId)?.shunnedUntilMs ?? 0);
  }

  /** Of those that are members no longer nothing is kept. */
  retain(isMember: (nodeId: NodeId) => boolean): void {
    for (const nodeId of this.#records.keys()) if (!isMember(nodeId)) this.#records.delete(nodeId);
  }
}
