/** Nodes that gossip over real sockets on loopback, and know of each other what a test tells them. */
import { generateKeyPairSync } from 'node:crypto';
import { createSystemClock } from '../../src/app/system-clock.ts';
import { systemRandom } from '../../src/app/system-random.ts';
import type { GossipNews, GossipVerdict } from '../../src/domain/gossip-port.ts';
import { formatHostPort } from '../../src/domain/host-port.ts';
import { asMeshId } from '../../src/domain/ids.ts';
import type { NodeId } from '../../src/domain/ids.ts';
import { MeshGossip } from '../../src/gossip/gossip.ts';
import type { GossipMember, GossipParts } from '../../src/gossip/gossip.ts';
import { nodeKeyOf } from '../../src/trust/node-key.ts';
import { silentLog, utf8 } from './temp-store.ts';
import { waitFor } from './wait-for.ts';

export interface Heard {
  readonly news: GossipNews;
  readonly from: NodeId;
}

/** Ids and addresses of a mesh, as every node of it knows them. */
export class Roll {
  readonly members = new Map<NodeId, GossipMember>();

  enter(node: GossipNode): void {
    this.members.set(node.nodeId, { nodeId: node.nodeId, gossipAddresses: node.gossip.addresses().map(formatHostPort) });
  }
}

export class GossipNode implements AsyncDisposable {
  readonly nodeId: NodeId;
  readonly gossip: MeshGossip;
  readonly heard: Heard[] = [];
  verdict: (news: GossipNews) => GossipVerdict | Promise<GossipVerdict> = () => 'accept';

  constructor(roll: Roll, changes: Partial<GossipParts> = {}) {
    const { privateKey } = generateKeyPairSync('ed25519');
    const { d = '', x = '' } = privateKey.export({ format: 'jwk' });
    this.nodeId = nodeKeyOf(privateKey).nodeId;
    this.gossip = new MeshGossip({
      nodeId: this.nodeId,
      key: Buffer.concat([Buffer.from(d, 'base64url'), Buffer.from(x, 'base64url')]),
      meshId: asMeshId('mesh-of-a-test'),
      listen: [{ host: '127.0.0.1', port: 0 }],
      isMember: (nodeId) => roll.members.has(nodeId),
      members: () => [...roll.members.values()],
      handler: async (news, from) => {
        this.heard.push({ news, from });
        return this.verdict(news);
      },
      clock: createSystemClock(),
      random: systemRandom,
      log: silentLog,
      ...changes,
    });
  }

  hears(text: string): boolean {
    return this.heard.some(({ news }) => textOf(news) === text);
  }

  async neighbours(count: number): Promise<void> {
    await waitFor(`${count} neighbours`, () => this.gossip.neighbours().size === count, { timeoutMs: 10_000 });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.gossip.stop();
  }
}

/** So many nodes of one mesh that know each other. */
export async function gossipNodes(count: number, roll = new Roll(), changes: Partial<GossipParts> = {}): Promise<GossipNode[]> {
  const nodes = Array.from({ length: count }, () => new GossipNode(roll, changes));
  for (const node of nodes) {
    await node.gossip.start();
    roll.enter(node);
  }
  return nodes;
}

/** News that say that, for the adapter: nobody checks it. */
export const say = (text: string | Uint8Array): GossipNews => ({ type: 'presence', presence: { payload: typeof text === 'string' ? utf8(text) : text, signature: new Uint8Array(64) } });

export function textOf(news: GossipNews): string {
  return news.type === 'presence' ? Buffer.from(news.presence.payload).toString() : '';
}

export async function allHear(heard: readonly GossipNode[], text: string): Promise<void> {
  await waitFor(`all to hear ${text}`, () => heard.every((each) => each.hears(text)), { timeoutMs: 10_000 });
}
