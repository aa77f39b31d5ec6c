/**
 * The acceptor's side: a gRPC server that listens nowhere. Connections come in with the identity that was proven on
 * them, and a call is its connection's or nobody's.
 */
import { Server, ServerCredentials, status as gRpcStatus } from '@grpc/grpc-js';
import type { ServerHttp2Stream } from 'node:http2';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import { BrokerError, invalid, overload } from '../domain/errors.ts';
import type { Health } from '../domain/health-port.ts';
import { formatHostPort } from '../domain/host-port.ts';
import { ignoreLimits } from '../domain/limits.ts';
import type { LimitName, OverLimit } from '../domain/limits.ts';
import type { NodeId } from '../domain/ids.ts';
import { peerFields } from '../domain/log-fields.ts';
import type { CancelTimer, Clock, Log } from '../domain/ports.ts';
import type { PeerIdentity } from '../domain/trust.ts';
import { DataRequest } from '../gen/beckon/v1/mesh.ts';
import type * as wire from '../gen/beckon/v1/mesh.ts';
import { duplex } from '../rpc/handler.ts';
import type { Calling, Edge } from '../rpc/handler.ts';
import { addIntrospection } from '../rpc/introspection.ts';
import { limitFrames } from './frame-limit.ts';
import { FrameStream } from './frame-stream.ts';
import { messageLimits, rawMesh, windowBytes } from './raw-mesh.ts';

/** A connection without a session is cut after this. */
const idleMs = 5_000;
/** Who only asks for things proves itself anew after this. */
const askingMs = 10 * 60_000;
/** Connections of one node that only ask, at once: they leave room for its sessions. */
const mostAsking = 4;
/** How long a connection may stay after its session said goodbye. */
const lingerMs = 500;
/** How long a connection may stay after its other end said that it goes. */
const leaveMs = 5_000;
/** Connections of one node at once: one is enough, a few overlap when it redials. */
const mostPerNode = 8;

/** The caller of a handler: a member, and the connection it proved itself on. */
export interface Arrival {
  readonly peer: PeerIdentity;
  /** host:port of the other end. */
  readonly address: string;
  /** A session uses the connection from now on. */
  claim(): void;
  /** Not a session, but something that is asked for: the connection stays while that lasts, and not much longer. */
  hold(): Disposable;
  /** Closes the connection: soon, so that a last word gets through, or at once. */
  hangUp(isOrderly: boolean): void;
}

export interface MeshServerParts {
  readonly clock: Clock;
  readonly log: Log;
  readonly onControl: (arrival: Arrival, call: Duplex) => void;
  /** @throws BrokerError when the session is not one of this peer's that waits for its data stream */
  readonly onData: (arrival: Arrival, sessionId: string, stream: FrameStream, rest: readonly wire.DataFrame[]) => void;
  /** What the data stream of a session sends, once it has one. */
  readonly pullData: (stream: FrameStream) => Uint8Array | undefined;
  /** Why that peer, whose certificate was verified, may ask for nothing; sessions judge it by themselves. */
  readonly refusal: (peer: PeerIdentity) => string | undefined;
  readonly health: Health;
  readonly onOverLimit?: OverLimit | undefined;
}

interface Connection extends Arrival {
  /** Something is asked for on it, and it is no session's. */
  isAsking(): boolean;
  readonly socket: TLSSocket;
  readonly fingerprint: string;
  /**
   * Its other end said that it goes: what it asked for has a moment yet. Of who says so, then what is none, and then is gone with a call
   * begun, node:http2 never learns (seen with Node 24.21): its end of the connection would stay.
   */
  leave(): void;
}

export class MeshServer {
  readonly #parts: MeshServerParts;
  /** By what a call tells of its connection: the other end's address and port. */
  readonly #connections = new Map<string, Connection>();
  #server: Server | undefined;
  #stopping = new AbortController();
  #injector: ReturnType<Server['createConnectionInjector']> | undefined;

  constructor(parts: MeshServerParts) {
    this.#parts = parts;
  }

  start(): void {
    if (this.#server !== undefined) return;
    const edge: Edge<Arrival> = {
      authenticate: (call) => this.#authenticate(call),
      onFault: (error, path) => this.#parts.log.error({ call: path, err: error }, 'a peer’s call failed'),
    };
    const server = new Server({ ...messageLimits, 'grpc.max_concurrent_streams': 8 });
    server.addService(rawMesh, {
      control: duplex<Arrival, Buffer, Buffer>(edge, (arrival, call) => {
        arrival.claim();
        widenWindow(call);
        this.#watch(arrival, call);
        this.#parts.onControl(arrival, call as unknown as Duplex);
      }),
      data: duplex<Arrival, Buffer, Buffer>(edge, (arrival, call) => {
        this.#watch(arrival, call);
        this.#dataCall(arrival, call as unknown as Duplex);
      }),
    });
    this.#stopping = new AbortController();
    addIntrospection<Arrival>(server, {
      edge: { ...edge, authenticate: (call) => this.#askedBy(call) },
      health: this.#parts.health,
      services: ['beckon.v1.MeshService'],
      subjects: { 'beckon.v1.MeshService': 'network' },
      stopping: this.#stopping.signal,
      hold: (arrival) => arrival.hold(),
    });
    this.#server = server;
    this.#injector = server.createConnectionInjector(ServerCredentials.createInsecure());
    limitFrames(server, { clock: this.#parts.clock, onOver: ({ socket }) => this.#cutForFrames(socket), onGoodbye: ({ socket }) => this.#connectionOf(socket)?.leave() });
  }

  stop(): void {
    this.#stopping.abort();
    for (const { socket } of this.#connections.values()) socket.destroy();
    this.#connections.clear();
    this.#injector?.destroy();
    this.#server?.forceShutdown();
    this.#injector = undefined;
    this.#server = undefined;
  }

  /** @param peer what the socket's own verified certificate says */
  inject(socket: TLSSocket, peer: PeerIdentity): void {
    const { remoteAddress, remotePort } = socket;
    const certificate = socket.getPeerX509Certificate();
    if (this.#injector === undefined || remoteAddress === undefined || remotePort === undefined || certificate === undefined) {
      socket.destroy();
      return;
    }
    if (this.#countOf(peer.nodeId) >= mostPerNode) {
      this.#over('member_connections');
      this.#parts.log.warn({ ...peerFields(peer), address: remoteAddress }, 'too many connections of one peer: refused another');
      socket.destroy();
      return;
    }
    const key = `${remoteAddress}:${remotePort}`;
    const cutAfter = (ms: number): CancelTimer => this.#parts.clock.setTimer(ms, () => socket.destroy());
    const cutIdle = (): CancelTimer =>
      this.#parts.clock.setTimer(idleMs, () => {
        this.#over('member_idle');
        socket.destroy();
      });
    let cancelIdle = cutIdle();
    const cancelAsking = cutAfter(askingMs);
    let cancelLeaving: CancelTimer | undefined;
    let isClaimed = false;
    let holds = 0;
    const connection: Connection = {
      peer,
      socket,
      fingerprint: certificate.fingerprint256,
      address: formatHostPort({ host: remoteAddress, port: remotePort }),
      claim: () => {
        isClaimed = true;
        cancelIdle();
        cancelAsking();
      },
      isAsking: () => holds > 0 && !isClaimed,
      hold: () => {
        holds += 1;
        if (!isClaimed) cancelIdle();
        return {
          [Symbol.dispose]: () => {
            holds -= 1;
            if (holds > 0 || isClaimed || socket.destroyed) return;
            cancelIdle();
            cancelIdle = cutIdle();
          },
        };
      },
      hangUp: (isOrderly) => {
        cancelIdle();
        if (!isOrderly) socket.destroy();
        else cancelIdle = cutAfter(lingerMs);
      },
      leave: () => {
        cancelLeaving = cutAfter(leaveMs);
      },
    };
    this.#connections.set(key, connection);
    socket.once('close', () => {
      cancelIdle();
      cancelAsking();
      cancelLeaving?.();
      if (this.#connections.get(key) === connection) this.#connections.delete(key);
    });
    socket.setNoDelay(true);
    this.#injector.injectConnection(socket);
  }

  /** Somebody may be a member no longer: who asks for something, and is none now, is cut. Sessions end by themselves. */
  judgeAgain(): void {
    for (const connection of this.#connections.values()) if (connection.isAsking() && this.#parts.refusal(connection.peer) !== undefined) connection.socket.destroy();
  }

  /** A member now, not only when it connected. */
  #askedBy(call: Calling): Arrival {
    const arrival = this.#authenticate(call);
    const why = this.#parts.refusal(arrival.peer);
    if (why !== undefined) throw new BrokerError('unauthenticated', why);
    const asking = [...this.#connections.values()].filter((each) => each !== arrival && each.peer.nodeId === arrival.peer.nodeId && each.isAsking());
    if (asking.length < mostAsking) return arrival;
    this.#over('member_asking');
    throw overload(`${arrival.peer.name} asks on ${mostAsking} other connections already`, idleMs);
  }

  #authenticate(call: Calling): Arrival {
    const connection = this.#connections.get(call.getPeer());
    // Of a connection that is gone grpc-js can't say what it was.
    const isGone = connection === undefined || connection.socket.destroyed;
    const fingerprint = isGone ? undefined : call.getAuthContext().sslPeerCertificate?.fingerprint256;
    if (isGone || fingerprint === undefined || fingerprint !== connection.fingerprint) {
      throw new BrokerError('unauthenticated', 'this connection is no member’s');
    }
    return connection;
  }

  /** What grpc-js refuses by itself, a message that says it is too large and one that unpacks to too much, it tells the peer alone. */
  #watch({ peer, address }: Arrival, call: unknown): void {
    const stream = streamOf(call);
    stream?.once('close', () => {
      const { 'grpc-status': status, 'grpc-message': message } = { ...stream.sentHeaders, ...stream.sentTrailers };
      if (Number(status) === gRpcStatus.RESOURCE_EXHAUSTED) this.#parts.log.warn({ ...peerFields(peer), address, why: decodeURI(String(message)) }, 'a message of a peer was larger than any may be');
    });
  }

  #dataCall(arrival: Arrival, call: Duplex): void {
    const stream: FrameStream = new FrameStream(call, () => this.#parts.pullData(stream), {
      message: (bytes) => {
        try {
          const [first, ...rest] = DataRequest.decode(bytes).frames;
          if (first?.frame?.$case !== 'hello') throw invalid('a data stream must name its session first');
          this.#parts.onData(arrival, first.frame.value.sessionId.toString('hex'), stream, rest);
        } catch (error) {
          this.#parts.log.warn({ ...peerFields(arrival.peer), address: arrival.address, err: error }, 'a data stream was refused');
          stream.finish();
        }
      },
      ended: () => undefined,
    });
  }

  #over(limit: LimitName): void {
    (this.#parts.onOverLimit ?? ignoreLimits)(limit);
  }

  #connectionOf({ remoteAddress, remotePort }: Pick<Socket, 'remoteAddress' | 'remotePort'>): Connection | undefined {
    return this.#connections.get(`${remoteAddress}:${remotePort}`);
  }

  #cutForFrames(socket: Pick<Socket, 'remoteAddress' | 'remotePort'>): void {
    const connection = this.#connectionOf(socket);
    if (connection === undefined) return;
    this.#over('http2_frames');
    this.#parts.log.warn({ ...peerFields(connection.peer), address: connection.address, why: 'it sends pings, settings or calls without end' }, 'a connection of a peer was cut');
    connection.socket.destroy();
  }

  #countOf(nodeId: NodeId): number {
    return [...this.#connections.values()].filter(({ peer }) => peer.nodeId === nodeId).length;
  }
}

/**
 * grpc-js takes a window for its client and none for its server, whose 64 KiB a round trip make 16 MiB take 10 s at
 * 20 ms. The HTTP/2 session is reached through what grpc-js keeps private: should that change, transfers from the
 * dialler are slower and nothing else.
 */
function widenWindow(call: unknown): void {
  const { session } = streamOf(call) ?? {};
  // One that the peer reset in the same moment is gone already.
  if (session === undefined || session.destroyed || session.closed) return;
  session.settings({ initialWindowSize: windowBytes });
  session.setLocalWindowSize(windowBytes);
}

/** What grpc-js keeps private. */
function streamOf(call: unknown): ServerHttp2Stream | undefined {
  return (call as { call?: { stream?: ServerHttp2Stream } }).call?.stream;
}
