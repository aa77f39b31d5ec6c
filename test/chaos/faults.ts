/** Brings the planned faults about, each at its time; those of one node or link one after the other. */
import { setTimeout as delay } from 'node:timers/promises';
import { waitFor } from '../support/wait-for.ts';
import type { Relay } from '../support/relay.ts';
import type { ChaosNode } from './chaos-node.ts';
import type { SmallDisk } from './disk.ts';
import { describe, placeOf } from './schedule.ts';
import type { Fault, Pair, Planned } from './schedule.ts';

export interface FaultParts {
  readonly nodes: ReadonlyMap<string, ChaosNode>;
  /** Both ways of a pair. */
  readonly relays: (between: Pair) => readonly Relay[];
  readonly disks: ReadonlyMap<string, SmallDisk>;
  readonly tell: (text: string) => void;
}

export class Faults {
  readonly #parts: FaultParts;
  readonly #last = new Map<string, Promise<void>>();
  /** How many of each kind there were. */
  readonly done = new Map<string, number>();
  readonly failures: string[] = [];

  constructor(parts: FaultParts) {
    this.#parts = parts;
  }

  /** Resolves when the last is over and everything runs again. */
  async run(plan: readonly Planned[]): Promise<void> {
    const startMs = performance.now();
    for (const fault of plan) {
      await delay(Math.max(0, fault.atMs - (performance.now() - startMs)));
      const place = placeOf(fault);
      const before = this.#last.get(place) ?? Promise.resolve();
      this.#last.set(place, before.then(() => this.#one(fault)));
    }
    await Promise.all(this.#last.values());
  }

  async #one(fault: Fault): Promise<void> {
    this.#parts.tell(describe(fault));
    try {
      await this.#bring(fault);
      this.#count(fault.kind);
    } catch (error) {
      const cause = error instanceof Error && error.cause instanceof Error ? ` (${error.cause.message})` : '';
      this.failures.push(`${describe(fault)}: ${error instanceof Error ? error.message : String(error)}${cause}`);
    }
  }

  #count(what: string): void {
    this.done.set(what, (this.done.get(what) ?? 0) + 1);
  }

  async #bring(fault: Fault): Promise<void> {
    switch (fault.kind) {
      case 'kill': {
        const node = this.#node(fault.node);
        await node.kill();
        await delay(fault.forMs);
        await node.up();
        return;
      }
      case 'crash': {
        const node = this.#node(fault.node);
        node.crashAt(fault.step, fault.commits);
        // A node that nobody asks anything makes no commits.
        const hasCrashed = await waitFor('the crash', () => !node.isRunning, { timeoutMs: 8000 }).catch(() => false);
        if (hasCrashed) this.#count(`crash ${fault.step}`);
        else await node.kill();
        node.spare();
        await delay(fault.forMs);
        await node.up();
        return;
      }
      case 'stop': {
        const node = this.#node(fault.node);
        node.stop();
        await delay(fault.forMs);
        node.resume();
        return;
      }
      case 'clock':
        this.#node(fault.node).jump(fault.jumpMs);
        return;
      case 'disk': {
        const disk = this.#parts.disks.get(fault.node);
        disk?.fill();
        await delay(fault.forMs);
        disk?.free();
        await this.#node(fault.node).up();
        return;
      }
      case 'restart': {
        const node = this.#node(fault.node);
        await node.down(fault.force);
        await delay(fault.forMs);
        await node.up();
        return;
      }
      case 'partition': {
        const relays = this.#parts.relays(fault.between);
        for (const relay of relays) {
          if (fault.how === 'silence') relay.isBlackHole = true;
          else {
            relay.isRefusing = true;
            relay.cut();
          }
        }
        await delay(fault.forMs);
        for (const relay of relays) relay.heal();
        return;
      }
      case 'delay': {
        const relays = this.#parts.relays(fault.between);
        for (const relay of relays) relay.delayMs = fault.delayMs;
        await delay(fault.forMs);
        for (const relay of relays) relay.delayMs = 0;
        return;
      }
      case 'cut': {
        const relays = this.#parts.relays(fault.between);
        for (const relay of relays) relay.cutAfterBytes = fault.afterBytes;
        await delay(fault.forMs);
        for (const relay of relays) relay.cutAfterBytes = undefined;
        return;
      }
    }
  }

  #node(name: string): ChaosNode {
    const node = this.#parts.nodes.get(name);
    if (node === undefined) throw new Error(`there is no node ${name}`);
    return node;
  }
}
