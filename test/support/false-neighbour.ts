/** A neighbour in gossip that says what it likes: the library's own node, with a key, and nothing that would keep it honest. */
import { createSystemClock } from '../../src/app/system-clock.ts';
import { parseHostPort } from '../../src/domain/host-port.ts';
import { multiaddrText } from '../../src/gossip/addresses.ts';
import { createHost } from '../../src/gossip/host.ts';
import type { Host } from '../../src/gossip/host.ts';
import { load } from '../../src/gossip/libp2p.ts';
import type { Connection } from '../../src/gossip/libp2p.ts';
import type { NodeKey } from '../../src/trust/node-key.ts';
import type { TestNode } from './node-process.ts';
import { waitFor } from './wait-for.ts';

export class FalseNeighbour implements AsyncDisposable {
  readonly topic: string;
  readonly #host: Host;
  #connection: Connection | undefined;

  private constructor(host: Host, topic: string) {
    this.#host = host;
    this.topic = topic;
  }

  static async start({ privateKey }: NodeKey, meshId: string): Promise<FalseNeighbour> {
    const { d = '', x = '' } = privateKey.export({ format: 'jwk' });
    const topic = `beckon/${meshId}/1`;
    const key = Buffer.concat([Buffer.from(d, 'base64url'), Buffer.from(x, 'base64url')]);
    const host = await createHost({ libraries: await load(), key, topic, listen: [], gater: {}, mostConnections: 10, clock: createSystemClock() });
    await host.libp2p.start();
    return new FalseNeighbour(host, topic);
  }

  /** Its own side may be done before the other has judged its key. */
  async dial(node: TestNode, nodeId: string): Promise<void> {
    const libraries = await load();
    const target = libraries.multiaddr(`${multiaddrText(parseHostPort(gossipAddressOf(node))) ?? ''}/p2p/${libraries.peerIdFromString(nodeId).toString()}`);
    const [dialled] = await Promise.allSettled([this.#host.libp2p.dial(target, { signal: AbortSignal.timeout(10_000) })]);
    if (dialled.status === 'fulfilled') this.#connection = dialled.value;
  }

  /** The node listens to it. */
  async isHeard(): Promise<void> {
    this.#host.pubsub.subscribe(this.topic);
    await waitFor('the node to listen', () => this.#host.pubsub.getSubscribers(this.topic).length > 0, { timeoutMs: 10_000 });
  }

  /** Dials until it is listened to, however often another of the same key ends that. */
  async isHeardBy(node: TestNode, nodeId: string): Promise<void> {
    this.#host.pubsub.subscribe(this.topic);
    await waitFor('the node to listen', async () => {
      if (this.#connection?.status !== 'open') await this.dial(node, nodeId);
      return this.#host.pubsub.getSubscribers(this.topic).length > 0;
    }, { timeoutMs: 15_000, pollMs: 20 });
  }

  async say(bytes: Uint8Array): Promise<void> {
    await this.#host.pubsub.publish(this.topic, bytes);
  }

  /** To each neighbour, whether or not it listens to that: what the library would send to those that do, and all that it says of a topic besides. */
  sayOn(topic: string, data: Uint8Array): void {
    const raw = this.#host.pubsub as unknown as { sendRpc(peer: string, rpc: object): boolean };
    const id = new Uint8Array(20);
    const control = { ihave: [{ topicID: topic, messageIDs: [id] }], iwant: [], graft: [{ topicID: topic }], prune: [{ topicID: topic, peers: [] }], idontwant: [] };
    for (const peer of this.#host.pubsub.getPeers()) raw.sendRpc(peer.toString(), { subscriptions: [{ subscribe: true, topic }], messages: [{ topic, data }], control });
  }

  /** Resolves when the node has ended the connection, or never let it come about. */
  async isCut(): Promise<void> {
    await waitFor('the connection to end', () => this.#connection?.status !== 'open', { timeoutMs: 10_000 });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#host.libp2p.stop();
  }
}

/** Where that node gossips, as its log has it. */
function gossipAddressOf({ log, name }: TestNode): string {
  const line = log.split('\n').findLast((each) => each.includes('"msg":"it gossips"'));
  const [address] = line === undefined ? [] : (JSON.parse(line) as { readonly addresses: readonly string[] }).addresses;
  if (address === undefined) throw new Error(`${name} does not gossip`);
  return address;
}
