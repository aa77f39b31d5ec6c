/** Two real nodes of one person's mesh, one of which is attacked while the other goes on calling it; and the keys of an attacker. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { connect } from '../../src/client/connect.ts';
import type { NodeClient } from '../../src/client/types.ts';
import type { FlightId, NodeId } from '../../src/domain/ids.ts';
import { createPrivateKey } from 'node:crypto';
import { issuerKeyPath, meshIdentityOf, openIssuer } from '../../src/trust/mesh-authority.ts';
import type { Issuer } from '../../src/trust/mesh-authority.ts';
import { meshIdOf, readCertificate } from '../../src/trust/certificate.ts';
import type { Authority } from '../../src/trust/issue.ts';
import { nodeKeyOf } from '../../src/trust/node-key.ts';
import { accepted, requestOf } from './asking.ts';
import { Cluster, freePort } from './cluster.ts';
import { rows } from './database.ts';
import { FalseMember } from './false-member.ts';
import type { FalseSession } from './false-member.ts';
import { withMetrics } from './watched-node.ts';
import { expectOwed } from './attack.ts';
import type { Victim } from './attack.ts';
import type { TestNode } from './node-process.ts';
import { waitFor } from './wait-for.ts';

interface MeshRow {
  readonly leaf: Uint8Array;
  readonly issuer: Uint8Array;
  readonly root: Uint8Array;
  readonly mesh_name: string;
}

const task = 'what a friend asks of the victim';

/** A member in hands that mean harm, and its session with the victim. */
export interface Entered {
  readonly mallory: FalseMember;
  readonly session: FalseSession;
}

export class AttackedMesh implements AsyncDisposable {
  readonly cluster: Cluster;
  /** It made the mesh, lets others in, and has `@echo@victim#main`. */
  readonly victim: TestNode;
  /** Of the same person; a member that does as it should. */
  readonly friend: TestNode;
  readonly victimId: NodeId;
  readonly friendId: NodeId;
  readonly echo: string;
  readonly #clients = new Map<TestNode, NodeClient>();
  readonly #sessions: FalseSession[] = [];
  #entered = 0;

  private constructor(cluster: Cluster, victim: TestNode, friend: TestNode, ids: readonly [NodeId, NodeId], echo: string) {
    this.cluster = cluster;
    this.victim = victim;
    this.friend = friend;
    [this.victimId, this.friendId] = ids;
    this.echo = echo;
  }

  /** @param agedMs so long ago the mesh was made: certificates can have ended in it */
  static async start({ agedMs }: { readonly agedMs?: number } = {}): Promise<AttackedMesh> {
    const cluster = await Cluster.create();
    try {
      const [victim, friend] = [await cluster.node('victim'), await cluster.node('friend')];
      withMetrics(victim, await freePort());
      if (agedMs === undefined) await cluster.join([victim, friend]);
      else {
        await makeMeshBefore(victim, agedMs);
        await victim.up();
        await waitFor('the victim to have renewed its certificate', () => victim.log.includes('this node’s certificate was renewed'), { timeoutMs: 15_000 });
        await cluster.enter(victim, [friend]);
      }
      const echo = await victim.addAgent('echo', ['cat']);
      const id = async (node: TestNode): Promise<NodeId> => ((await node.json(['status']))['node'] as { id: NodeId }).id;
      for (const node of [victim, friend]) cluster.atEnd(() => expectOwed(node));
      const mesh = new AttackedMesh(cluster, victim, friend, [await id(victim), await id(friend)], echo);
      const client = await mesh.client(friend);
      // Each tells a list when it begins to gossip: later it would be news.
      await waitFor('both to have told where they gossip', () => tellGossip(victim) === 2, { timeoutMs: 15_000 });
      await waitFor('the friend to know the agent', async () => (await client.listAgents({}, { limit: 100 })).items.some((each) => each.registration.address === echo));
      return mesh;
    } catch (error) {
      await cluster[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Served by the network: a friend's call of its agent comes back. */
  readonly attacked = (): Victim => ({ node: this.victim, serves: () => this.call(this.friend, this.echo) });

  /** As the user of that node has it: no process of its own. */
  async client(node: TestNode): Promise<NodeClient> {
    const known = this.#clients.get(node) ?? (await connect({ socketPath: node.socketPath }));
    this.#clients.set(node, known);
    return known;
  }

  /** @throws unless it completes with what it was given */
  async call(from: TestNode, address: string): Promise<void> {
    for await (const update of (await this.client(from)).invoke(requestOf(address, task))) {
      if (update.type !== 'finished') continue;
      const output = new TextDecoder().decode(update.output);
      if (update.flight.state !== 'completed' || output !== task) throw new Error(`the call ended ${update.flight.state}: ${JSON.stringify(update.flight.error)} ${output.slice(0, 100)}`);
      return;
    }
    throw new Error('the call had no end');
  }

  /** Another node of the mesh, in hands that mean harm. @param forPerson undefined: of the same person as all others here */
  async member(name: string, forPerson?: string): Promise<FalseMember> {
    const { token } = await (await this.client(this.victim)).createInvite(forPerson === undefined ? {} : { forPerson });
    return FalseMember.enter(token, name);
  }

  /** With the victim, which has taken it. It lasts as long as the mesh. */
  async session(member: FalseMember): Promise<FalseSession> {
    const session = await member.session(this.victim);
    this.#sessions.push(session);
    return session;
  }

  /** The next of `mallory-1`, `mallory-2`, …: a member of its own for each case. */
  async enter(forPerson?: string): Promise<Entered> {
    this.#entered += 1;
    const mallory = await this.member(`mallory-${this.#entered}`, forPerson);
    return { mallory, session: await this.session(mallory) };
  }

  /** Accepted, and left to itself. */
  async begin(from: TestNode, address: string, text = task): Promise<FlightId> {
    return (await accepted(await this.client(from), requestOf(address, text))).flightId;
  }

  async becomes(node: TestNode, flight: FlightId, state: string): Promise<void> {
    const client = await this.client(node);
    await waitFor(`${flight} to be ${state}`, async () => (await client.getFlight(flight)).flight.state === state, { timeoutMs: 10_000 });
  }

  /** The agents that it knows, by address. */
  async agentsAt(node: TestNode): Promise<readonly string[]> {
    return (await (await this.client(node)).listAgents({}, { limit: 1000 })).items.map((each) => each.registration.address);
  }

  /** A node's own key and certificate, as whoever copied its disk has them. */
  copyOf(node: TestNode): FalseMember {
    const { leaf, issuer, root, mesh_name: name } = this.#membership(node);
    const key = nodeKeyOf(createPrivateKey(readFileSync(join(node.home, 'trust', 'node.key'))));
    const chain = { leaf, issuer };
    return new FalseMember({ key, chain, root, identity: meshIdentityOf(key, { name, root, chain }) });
  }

  /** The key that lets nodes in, for certificates that nobody honest would make. */
  authority(): Authority & { readonly root: Uint8Array } {
    const { issuer, root } = this.#membership(this.victim);
    const path = issuerKeyPath(join(this.victim.home, 'trust'), meshIdOf(readCertificate(root)));
    return { certificate: issuer, key: createPrivateKey(readFileSync(path)), root };
  }

  async issuer(): Promise<Issuer> {
    const { issuer, root } = this.#membership(this.victim);
    const opened = await openIssuer(join(this.victim.home, 'trust'), root, issuer);
    if (opened === undefined) throw new Error('the victim is no issuer');
    return opened;
  }

  #membership(node: TestNode): MeshRow {
    const [row] = rows(node.databasePath, 'SELECT leaf, issuer, root, mesh_name FROM mesh');
    if (row === undefined) throw new Error(`${node.name} is in no mesh`);
    return row as unknown as MeshRow;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const session of this.#sessions) session[Symbol.dispose]();
    for (const client of this.#clients.values()) client.close();
    await this.cluster[Symbol.asyncDispose]();
  }
}

/** Nodes that say so, as that one has it. */
function tellGossip({ databasePath }: TestNode): number {
  return rows(databasePath, "SELECT node FROM registry_heads WHERE gossip_addresses <> '[]'").length;
}

/** A clock that is set right afterwards: then it renews what has ended meanwhile, as an issuer does for itself. */
async function makeMeshBefore(node: TestNode, agedMs: number): Promise<void> {
  await node.up({ env: { NODE_OPTIONS: `--import ${fileURLToPath(new URL('jumping-clock.ts', import.meta.url))}`, JUMP_MS: String(-agedMs) } });
  await node.json(['mesh', 'create', 'home']);
  await node.down();
}
