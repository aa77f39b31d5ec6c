/**
 * Facts of several nodes merged into one order, that of their hybrid clocks. A fact is told once every node that answers
 * has said that it has nothing earlier, or once it has waited long enough; what comes after that is told late. Pure.
 */
import { compareHlc, encodeHlc, decodeHlc } from './hlc.ts';
import type { Hlc } from './hlc.ts';
import type { NodeId } from './ids.ts';

export interface Placed {
  readonly hlc: Hlc;
  readonly nodeId: NodeId;
}

interface Held<Item> {
  readonly item: Item;
  readonly sinceMs: number;
}

/** A clock value that many ms earlier. */
export function hlcBefore(hlc: Hlc, ms: number): Hlc {
  const parts = decodeHlc(hlc);
  return encodeHlc({ ms: Math.max(0, parts.ms - ms), counter: 0 });
}

export class Timeline<Item extends Placed> {
  readonly #windowMs: number;
  /** In the order of their clocks. */
  #held: Held<Item>[] = [];
  readonly #counts = new Map<NodeId, number>();
  /** Of each node that is waited for: it has nothing earlier than this to tell. */
  readonly #marks = new Map<NodeId, Hlc | undefined>();
  #told: Hlc | undefined;

  /** @param windowMs how long a fact waits for other nodes at most */
  constructor(windowMs: number) {
    this.#windowMs = windowMs;
  }

  /** From now on that node is waited for. */
  expect(nodeId: NodeId): void {
    if (!this.#marks.has(nodeId)) this.#marks.set(nodeId, undefined);
  }

  /** What that node told, and up to where it has nothing more. A mark never goes back. */
  add(nodeId: NodeId, items: readonly Item[], mark: Hlc | undefined, nowMs: number): void {
    const before = this.#marks.get(nodeId);
    this.#marks.set(nodeId, before === undefined || (mark !== undefined && mark > before) ? mark : before);
    if (items.length === 0) return;
    this.#held = merged(this.#held, items.toSorted(inOrder).map((item) => ({ item, sinceMs: nowMs })));
    this.#counts.set(nodeId, this.held(nodeId) + items.length);
  }

  /** It is not waited for any more; what it told stays. */
  lose(nodeId: NodeId): void {
    this.#marks.delete(nodeId);
  }

  /** Of that node: not told yet. */
  held(nodeId: NodeId): number {
    return this.#counts.get(nodeId) ?? 0;
  }

  /** All whose place is certain, and those that have waited long enough with all before them, in order. */
  take(nowMs: number): { readonly item: Item; readonly late: boolean }[] {
    const bound = this.#bound();
    const certain = this.#held.findIndex(({ item }) => bound !== undefined && item.hlc > bound);
    const waited = this.#held.findLastIndex(({ sinceMs }) => nowMs - sinceMs >= this.#windowMs) + 1;
    const count = Math.max(bound === undefined ? 0 : certain < 0 ? this.#held.length : certain, waited);
    return this.#held.splice(0, count).map(({ item }) => {
      this.#counts.set(item.nodeId, this.held(item.nodeId) - 1);
      const late = this.#told !== undefined && item.hlc < this.#told;
      if (!late) this.#told = item.hlc;
      return { item, late };
    });
  }

  /** All the rest, in order. */
  takeAll(): { readonly item: Item; readonly late: boolean }[] {
    return this.take(Number.POSITIVE_INFINITY);
  }

  /** Undefined while one that is waited for has said nothing yet. */
  #bound(): Hlc | undefined {
    let least: Hlc | undefined;
    for (const mark of this.#marks.values()) {
      if (mark === undefined) return undefined;
      if (least === undefined || mark < least) least = mark;
    }
    return least;
  }
}

function inOrder(a: Placed, b: Placed): number {
  return compareHlc(a.hlc, b.hlc) || (a.nodeId < b.nodeId ? -1 : a.nodeId > b.nodeId ? 1 : 0);
}

function merged<Item extends Placed>(a: readonly Held<Item>[], b: readonly Held<Item>[]): Held<Item>[] {
  const all: Held<Item>[] = [];
  let [at, from] = [0, 0];
  for (;;) {
    const [left, right] = [a[at], b[from]];
    if (left === undefined && right === undefined) return all;
    if (right === undefined || (left !== undefined && inOrder(left.item, right.item) <= 0)) {
      if (left !== undefined) all.push(left);
      at += 1;
    } else {
      all.push(right);
      from += 1;
    }
  }
}
