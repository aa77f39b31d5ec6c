/** A libp2p node with one protocol, gossipsub, and none of what it has besides: no discovery, no routing, no identify, no log. */
import { createHash } from 'node:crypto';
import { internal } from '../domain/errors.ts';
import { formatHostPort } from '../domain/host-port.ts';
import type { HostPort } from '../domain/host-port.ts';
import type { Clock } from '../domain/ports.ts';
import { hostPortOf, multiaddrText } from './addresses.ts';
import type { Components, Connection, ConnectionGater, Libp2p, Libp2pInit, Libraries, Logger } from './libp2p.ts';
import { pacedRegistrar } from './paced.ts';

/** What is larger goes over the sessions. */
export const largestNews = 1024 * 1024;
/** One message of the library: answers to what a neighbour lacked come several in one. */
const largestFrame = 2 * largestNews;
/** Waiting for one neighbour; what does not fit ends the stream, and it is opened anew. */
const largestBacklog = 2 * largestNews;
/** An honest dialler needs one; many nodes of one machine, or behind one address, dial at once. */
const inboundPerSecond = 100;
/** To prove its key. Strangers get no further, and only so many get that far at once. */
const inboundUpgradeMs = 10_000;
const pendingInbound = 32;
/** The library's limits are for public networks; a window is 256 KiB, and no stream has more. */
const windowBytes = 256 * 1024;
/** How long a connection may be dead before that is noticed at the latest, twice over. */
const pingMs = 30_000;

const ignore = (): void => undefined;
const silent: Logger = Object.assign(ignore, { error: ignore, trace: ignore, enabled: false, newScope: (): Logger => silent });

export type Pubsub = ReturnType<ReturnType<Libraries['gossipsub']>>;

export interface HostParts {
  readonly libraries: Libraries;
  /** Ed25519: seed and public key, 64 bytes. */
  readonly key: Uint8Array;
  readonly topic: string;
  readonly listen: readonly HostPort[];
  readonly gater: ConnectionGater;
  readonly mostConnections: number;
  readonly clock: Clock;
}

export interface Host {
  readonly libp2p: Libp2p;
  readonly pubsub: Pubsub;
  /** Where it listens. */
  addresses(): readonly HostPort[];
  /** Opens the stream to that neighbour if there is none. */
  greet(connection: Connection): void;
}

/** The same words have one id, whoever says them, so that said again they go nowhere. */
export function messageId(data: Uint8Array): Uint8Array {
  return createHash('sha256').update(data).digest().subarray(0, 20);
}

/** Made, not started. */
export async function createHost({ libraries, key, topic, listen, gater, mostConnections, clock }: HostParts): Promise<Host> {
  const { createLibp2p, gossipsub, tcp, noise, yamux, privateKeyFromRaw } = libraries;
  let pubsub: Pubsub | undefined;
  let transports: Components['transportManager'] | undefined;
  let greet: Host['greet'] = ignore;
  const service = (components: Components): { start(): Promise<void>; stop(): Promise<void> } => {
    const { registrar, topology } = pacedRegistrar(components.registrar, clock);
    greet = (connection) => void topology()?.onConnect?.(connection.remotePeer, connection);
    components.events.addEventListener('connection:open', ({ detail }) => greet(detail));
    components.events.addEventListener('peer:disconnect', ({ detail }) => void topology()?.onDisconnect?.(detail));
    transports = components.transportManager;
    const { privateKey, peerId, peerStore, connectionManager, logger } = components;
    const made = gossipsub(gossipsubOptions(topic))({ privateKey, peerId, peerStore, connectionManager, logger, registrar });
    pubsub = made;
    const life = made as unknown as { start(): Promise<void>; stop(): Promise<void> };
    return { start: () => life.start(), stop: () => life.stop() };
  };
  const init: Libp2pInit = {
    start: false,
    privateKey: privateKeyFromRaw(key),
    nodeInfo: { userAgent: 'beckon' },
    logger: { forComponent: () => silent },
    addresses: { listen: listen.flatMap((each) => multiaddrText(each) ?? []) },
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux({ enableKeepAlive: false, maxInboundStreams: 8, maxOutboundStreams: 8, streamOptions: { initialStreamWindowSize: windowBytes, maxStreamWindowSize: windowBytes, maxReadBufferLength: 2 * windowBytes } })],
    connectionGater: gater,
    connectionManager: {
      maxConnections: mostConnections,
      inboundConnectionThreshold: inboundPerSecond,
      maxIncomingPendingConnections: pendingInbound,
      inboundUpgradeTimeout: inboundUpgradeMs,
      reconnectRetries: 0,
    },
    connectionMonitor: { pingInterval: pingMs },
    services: { gossip: service },
  } as Libp2pInit;
  const libp2p = await createLibp2p(init);
  if (pubsub === undefined || transports === undefined) throw internal('libp2p made no services');
  const listening = transports;
  return {
    libp2p,
    pubsub,
    addresses: () => {
      const all = listening.getAddrs().flatMap((each) => hostPortOf(each.getComponents()) ?? []);
      return [...new Map(all.map((each) => [formatHostPort(each), each])).values()];
    },
    greet: (connection) => greet(connection),
  };
}

function gossipsubOptions(topic: string): NonNullable<Parameters<Libraries['gossipsub']>[0]> {
  return {
    globalSignaturePolicy: 'StrictNoSign',
    msgIdFn: ({ data }) => messageId(data),
    msgIdToStrFn: (id) => Buffer.from(id).toString('base64'),
    // Fewer copies than for strangers: what is lost is found by digests.
    ...{ D: 4, Dlo: 3, Dhi: 8, Dscore: 2, Dout: 1, Dlazy: 4 },
    allowedTopics: [topic],
    allowPublishToZeroTopicPeers: true,
    ignoreDuplicatePublishError: true,
    fallbackToFloodsub: false,
    doPX: false,
    tagMeshPeers: false,
    // One after the other, so that a neighbour waits for what it sent before.
    awaitRpcHandler: true,
    awaitRpcMessageHandler: true,
    maxInboundDataLength: largestFrame,
    maxOutboundBufferSize: largestBacklog,
    maxTopicBytesPerPeer: 4096,
    decodeRpcLimits: { maxSubscriptions: 8, maxMessages: 2000, maxIhaveMessageIDs: 5000, maxIwantMessageIDs: 5000, maxIdontwantMessageIDs: 512, maxControlMessages: 64, maxPeerInfos: 16 },
    // Members are judged by what they say (conduct.ts). The library's scores mistake a lossy network for malice.
    scoreParams: { topics: {}, IPColocationFactorWeight: 0, behaviourPenaltyWeight: 0, appSpecificWeight: 0 },
  };
}
