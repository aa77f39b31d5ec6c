/** Whole nodes of one mesh in this process, in a directory of their own. The first made the mesh, and lets the others in. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Harness } from '../../src/domain/harness-port.ts';
import { LocalNode } from './local-node.ts';

export interface LocalMeshOptions {
  readonly harnesses?: readonly Harness[];
  /** Whose machines the others are; undefined: of the same person as the first, so that the second is an issuer too. */
  readonly forPerson?: string;
}

export class LocalMesh<Name extends string> implements AsyncDisposable {
  readonly root = mkdtempSync(join(tmpdir(), 'beckon-mesh-'));
  readonly nodes: Readonly<Record<Name, LocalNode>>;
  readonly all: readonly LocalNode[];

  private constructor(names: readonly Name[]) {
    this.all = names.map((name) => new LocalNode(name, this.root));
    this.nodes = Object.fromEntries(this.all.map((node) => [node.name, node])) as Record<Name, LocalNode>;
  }

  /** All are up and linked. */
  static async start<Name extends string>(names: readonly Name[], { harnesses = [], forPerson }: LocalMeshOptions = {}): Promise<LocalMesh<Name>> {
    const mesh = new LocalMesh(names);
    const [first, ...others] = mesh.all;
    await first?.start({ harnesses });
    await first?.client.createMesh({ new: false });
    for (const node of others) {
      const invite = await first?.client.createInvite(forPerson === undefined ? {} : { forPerson });
      await node.start({ harnesses, join: invite?.token ?? '' });
    }
    await mesh.linked();
    return mesh;
  }

  /** Each has a session with each. */
  async linked(nodes: readonly LocalNode[] = this.all): Promise<void> {
    for (const node of nodes) for (const peer of nodes) if (node !== peer) await node.sees(peer, 'alive');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.all.map((node) => node[Symbol.asyncDispose]()));
    rmSync(this.root, { recursive: true, force: true });
  }
}

/** Of the agents that it knows. */
export async function addressesAt(node: LocalNode): Promise<string[]> {
  return (await node.client.listAgents({}, { limit: 100 })).items.map((each) => each.registration.address);
}

/** By the list of members there. */
export async function memberState(node: LocalNode, name: string): Promise<string | undefined> {
  return (await node.client.members()).find((each) => each.name === name)?.state;
}
