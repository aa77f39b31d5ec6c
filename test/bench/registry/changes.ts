/** Changes of the registry, as people and programs make them, and when all other nodes had them on disk. */
import type { Server } from '../../../src/client/index.ts';
import type { Fleet, FleetNode } from './fleet.ts';
import { machineMs } from './watch.ts';
import type { Wanted, Watch } from './watch.ts';

/** From the call of the client, which is answered when the owner has it on disk, ms. */
export interface Change {
  readonly answeredMs: number;
  /** The last of the other nodes. */
  readonly seenMs: number;
}

interface Step {
  readonly node: FleetNode;
  readonly address: string;
  readonly wanted: Wanted;
  readonly make: () => Promise<unknown>;
}

/** Numbers in a fixed order, so that runs are alike (mulberry32). */
function dice(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

/** Nodes with an agent that comes and goes with the process that serves it. */
const servedNodes = 10;

export class Changes implements AsyncDisposable {
  readonly #fleet: Fleet;
  readonly #watch: Watch;
  readonly #roll = dice(7);
  readonly #added: { readonly node: FleetNode; readonly address: string }[] = [];
  readonly #servers = new Map<FleetNode, Server | undefined>();
  #count = 0;

  constructor(fleet: Fleet, watch: Watch) {
    this.#fleet = fleet;
    this.#watch = watch;
  }

  /** The agents that are served. */
  async start(): Promise<void> {
    for (const node of this.#fleet.nodes.slice(-servedNodes)) {
      const { seen } = await this.#watch.row(node.founded.nodeId, node.addressOf('served'), 'available');
      this.#servers.set(node, await node.client.serve('served/main', () => 'done'));
      node.agents += 1;
      await seen;
    }
  }

  /** One, at a random node: in turn an agent added, one whose process goes or comes back, one removed. */
  async one(): Promise<Change> {
    const { node, address, wanted, make } = this.#step();
    const { seen } = await this.#watch.row(node.founded.nodeId, address, wanted);
    const startMs = machineMs();
    await make();
    const answeredMs = machineMs() - startMs;
    return { answeredMs, seenMs: Math.max(...(await seen)) - startMs };
  }

  /** Several at once, each at a node of its own. */
  burst(size: number): Promise<Change[]> {
    return Promise.all(Array.from({ length: size }, () => this.one()));
  }

  /** Only agents that are added. */
  async add(count: number, nodes: readonly FleetNode[], atOnce: number): Promise<void> {
    const left = Array.from({ length: count }, (_, index) => index).values();
    await Promise.all(Array.from({ length: atOnce }, async () => {
      for (const index of left) {
        const node = nodes[index % nodes.length];
        this.#count += 1;
        await node?.add(`missed${this.#count}`);
      }
    }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.allSettled([...this.#servers.values()].filter((server) => server !== undefined).map((server) => server.close()));
  }

  #step(): Step {
    this.#count += 1;
    if (this.#count % 3 === 0) {
      const [oldest] = this.#added.splice(0, 1);
      if (oldest !== undefined) return { ...oldest, wanted: 'absent', make: () => oldest.node.remove(oldest.address) };
    }
    if (this.#count % 3 === 1) {
      // Out while it changes: it is put back as the last.
      const [node, server] = this.#servers.entries().next().value ?? [];
      if (node !== undefined) {
        this.#servers.delete(node);
        const toggle = async (): Promise<void> => {
          await server?.close();
          this.#servers.set(node, server === undefined ? await node.client.serve('served/main', () => 'done') : undefined);
        };
        return { node, address: node.addressOf('served'), wanted: server === undefined ? 'available' : 'unavailable', make: toggle };
      }
    }
    const node = this.#fleet.nodes[this.#roll(this.#fleet.nodes.length)];
    if (node === undefined) throw new Error('there are no nodes');
    const name = `extra${this.#count}`;
    return {
      node,
      address: node.addressOf(name),
      wanted: 'present',
      make: async () => {
        this.#added.push({ node, address: await node.add(name) });
      },
    };
  }
}
