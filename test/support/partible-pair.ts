/** Two linked nodes of this process that can be kept apart. */
import type { Harness } from '../../src/domain/harness-port.ts';
import { LocalPair } from './local-node.ts';
import { Partition } from './partition.ts';

export class PartiblePair extends LocalPair {
  // Before the nodes: only what is connected from now on can be cut.
  readonly #network = new Partition();

  override async start(harnesses: readonly Harness[] = []): Promise<this> {
    await super.start(harnesses);
    this.#network.between(this.laptop.listen, this.desktop.listen);
    return this;
  }

  /** An agent of the desktop, known at the laptop. @param mark in the command line of each of its processes */
  async addScript(name: string, script: string, mark?: string): Promise<string> {
    const argv = mark === undefined ? [script] : [`${script} # ${mark}`, mark];
    const address = await this.desktop.addAgent(name, { argv: ['/bin/sh', '-c', ...argv] });
    await this.knows(this.laptop, address);
    return address;
  }

  async separate(): Promise<void> {
    this.cut();
    await Promise.all([this.laptop.loses(this.desktop), this.desktop.loses(this.laptop)]);
  }

  async reunite(): Promise<void> {
    this.heal();
    await this.laptop.sees(this.desktop, 'alive');
  }

  /** Without waiting until they notice. */
  cut(): void {
    this.#network.cut();
  }

  heal(): void {
    this.#network.heal();
  }

  override async [Symbol.asyncDispose](): Promise<void> {
    await super[Symbol.asyncDispose]();
    this.#network[Symbol.dispose]();
  }
}
