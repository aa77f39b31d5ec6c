/**
 * The one network port. Every connection is TLS 1.3 and asked for a certificate: a member of the mesh is handed on, one
 * without a certificate reaches the entrance for strangers, all else is cut. Node's TLS server is told to let anybody
 * through (`rejectUnauthorized: false`) because it can't tell "none" from "wrong"; the judging is done here.
 */
import { constants } from 'node:crypto';
import { createServer as createNetServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer, type Server as TlsServer, type TLSSocket } from 'node:tls';
import { BrokerError } from '../domain/errors.ts';
import { formatHostPort, type HostPort } from '../domain/host-port.ts';
import type { LimitName } from '../domain/limits.ts';
import type { Judge, MeshIdentity, PeerIdentity } from '../domain/trust.ts';
import { codeOf } from '../domain/system-error.ts';
import { parseLeaf } from './certificate.ts';
import { defaultHandshakeLimits, Handshakes, type HandshakeLimits } from './handshakes.ts';
import { describeTlsError, describeVerifyError } from './tls-errors.ts';

export interface Refusal {
  /** host:port of who was refused. */
  readonly remoteAddress: string;
  readonly why: string;
  /** What it was too much for, when that is why. */
  readonly limit?: LimitName;
  /** Whose certificate was good, and is refused. */
  readonly peer?: PeerIdentity;
  /** What was thrown at who asked. */
  readonly error?: unknown;
}

/** Both ends of a connection, as this machine sees them. */
export interface Ends {
  readonly remote: HostPort;
  readonly local: HostPort;
}

export interface FrontOptions {
  readonly judge: Judge;
  /** Takes the socket over: TLS is done, ALPN is h2, nothing was read. It may be called at any time after `start`. */
  readonly onMember: (socket: TLSSocket, peer: PeerIdentity) => void;
  /** Takes over a socket whose peer showed no certificate, to be treated as hostile. */
  readonly onStranger: (socket: TLSSocket, remoteAddress: string) => void;
  /** Exactly once for each connection that ends here. Limit what you log: strangers decide how often it is called. */
  readonly onRefused: (refusal: Refusal) => void;
  /**
   * Asked before anything is read: undefined lets the connection in, a text is why not. Not asked when left out.
   * @throws never; bounded in time
   */
  readonly vet?: (ends: Ends) => Promise<string | undefined>;
  readonly handshakeTimeoutMs?: number;
  /** Further connections are cut before any cryptography. */
  readonly handshakes?: Partial<HandshakeLimits>;
  /** Whether many machines come from that address, so that no limit for one can be kept there. */
  readonly isShared?: (host: string) => boolean;
  /** Monotonic, ms. */
  readonly now: () => number;
}

/** Why every connection is refused before there is an identity. */
export const inNoMesh = 'this node is in no mesh';
export const handshakeNotEnded = 'closed before the TLS handshake ended';

const stranger = Symbol('no certificate');

interface Arrival {
  readonly socket: Socket;
  /** What its handshake is counted by. */
  readonly countedAs: string | undefined;
  readonly remoteAddress: string;
}

interface Listener {
  /** As it was asked for. */
  readonly wanted: string;
  readonly server: Server;
}

export class Front {
  readonly #options: FrontOptions;
  readonly #handshakeTimeoutMs: number;
  readonly #handshakes: Handshakes;
  #servers: Listener[] = [];
  #current: { readonly identity: MeshIdentity; readonly tls: TlsServer } | undefined;
  /** Connections in their handshake, by `endsOf`: node:tls does not tell which socket it wrapped. */
  readonly #arrivals = new Map<string, Arrival>();

  constructor(options: FrontOptions) {
    this.#options = options;
    this.#handshakeTimeoutMs = options.handshakeTimeoutMs ?? 5000;
    this.#handshakes = new Handshakes({ ...defaultHandshakeLimits, ...options.handshakes }, options.now);
  }

  /**
   * Listens on each of these and nowhere else; port 0 picks a free one. Already listening, it changes nothing.
   * @returns the addresses it listens on, in the order given.
   * @throws BrokerError `conflict` when a port is taken, `unavailable` when the address is not this machine's or may
   * not be used; then none is listened on.
   */
  async start(listen: readonly HostPort[]): Promise<readonly HostPort[]> {
    if (this.#servers.length === 0) {
      try {
        for (const address of listen) await this.#add(address);
      } catch (error) {
        await this.stop();
        throw error;
      }
    }
    return this.addresses();
  }

  /**
   * Listens on these and no others from now on; what it listens on already stays untouched, and so do connections.
   * @returns those that it could not listen on, and why, as `start` would throw it
   */
  async listenOn(listen: readonly HostPort[]): Promise<readonly { readonly address: HostPort; readonly error: BrokerError }[]> {
    const wanted = new Set(listen.map(formatHostPort));
    for (const each of this.#servers) if (!wanted.has(each.wanted)) each.server.close();
    this.#servers = this.#servers.filter((each) => wanted.has(each.wanted));
    const failures: { readonly address: HostPort; readonly error: BrokerError }[] = [];
    for (const address of listen) {
      if (this.#servers.some((each) => each.wanted === formatHostPort(address))) continue;
      try {
        await this.#add(address);
      } catch (error) {
        if (!(error instanceof BrokerError)) throw error;
        failures.push({ address, error });
      }
    }
    return failures;
  }

  /** Stops listening and cuts handshakes. Sockets that were handed on belong to those who took them. */
  stop(): Promise<void> {
    for (const { server } of this.#servers) server.close();
    this.#servers = [];
    for (const [ends, { socket }] of [...this.#arrivals]) {
      this.#take(ends);
      socket.destroy();
    }
    return Promise.resolve();
  }

  addresses(): readonly HostPort[] {
    return this.#servers.map(({ server }) => {
      const { address, port } = server.address() as AddressInfo;
      return { host: address, port };
    });
  }

  /**
   * Speaks as this member from the next connection on; undefined: this node is in no mesh, and every connection is
   * closed at once. Live connections stay as they are.
   */
  setIdentity(identity: MeshIdentity | undefined): void {
    this.#current = identity === undefined ? undefined : { identity, tls: this.#tlsServer(identity) };
  }

  #tlsServer({ keyPem, chainPem, rootPem }: MeshIdentity): TlsServer {
    // Never listens itself: connections are put in by #accept, so that they can be counted before any cryptography.
    // SSL_OP_NO_TICKET makes tickets mere keys into a session store, and Node has none unless one is given to it: so
    // no session can be resumed and nobody gets in on an old judgement. #judge holds on to that.
    const server = createTlsServer({
      key: keyPem,
      cert: chainPem,
      ca: rootPem,
      requestCert: true,
      rejectUnauthorized: false,
      minVersion: 'TLSv1.3',
      ALPNProtocols: ['h2', 'http/1.1'],
      handshakeTimeout: this.#handshakeTimeoutMs,
      secureOptions: constants.SSL_OP_NO_TICKET,
    });
    server.on('tlsClientError', (error, socket) => {
      const arrival = this.#take(endsOf(socket));
      if (arrival !== undefined) this.#cut(socket, arrival.remoteAddress, describeTlsError(error), isTimeout(error) ? { limit: 'handshake_time' } : {});
      socket.destroy();
    });
    server.on('secureConnection', (socket) => this.#arrived(socket));
    return server;
  }

  async #add(address: HostPort): Promise<void> {
    this.#servers.push({ wanted: formatHostPort(address), server: await this.#listen(address) });
  }

  async #listen(address: HostPort): Promise<Server> {
    const server = createNetServer({ noDelay: true }, (socket) => this.#accept(socket));
    await new Promise<void>((resolve, reject) => {
      server.once('error', (error) => reject(listenError(address, error)));
      server.listen({ host: address.host, port: address.port, exclusive: true }, resolve);
    });
    // After this, errors are those of single accepts (no file descriptors left, say): the listener goes on.
    server.removeAllListeners('error');
    server.on('error', (error) => {
      this.#options.onRefused({ remoteAddress: formatHostPort(address), why: `could not accept: ${error.message}` });
    });
    return server;
  }

  #accept(socket: Socket): void {
    const { remoteAddress: host = 'unknown', remotePort: port = 0 } = socket;
    const remoteAddress = formatHostPort({ host, port });
    // An error is followed by close, which is what is acted on.
    socket.on('error', () => undefined);
    if (this.#current === undefined) return this.#cut(socket, remoteAddress, inNoMesh);
    const countedAs = this.#options.isShared?.(host) === true ? undefined : host;
    const over = this.#handshakes.begin(countedAs);
    if (over !== undefined) return this.#cut(socket, remoteAddress, over.why, { limit: over.limit });
    const ends = endsOf(socket);
    const arrival = { socket, remoteAddress, countedAs };
    this.#arrivals.set(ends, arrival);
    socket.once('close', () => {
      if (this.#arrivals.get(ends) !== arrival) return;
      this.#take(ends);
      this.#options.onRefused({ remoteAddress, why: handshakeNotEnded });
    });
    if (this.#options.vet === undefined) this.#current.tls.emit('connection', socket);
    else void this.#vetted(socket, ends, this.#options.vet);
  }

  async #vetted(socket: Socket, ends: string, vet: NonNullable<FrontOptions['vet']>): Promise<void> {
    const { remoteAddress, remotePort, localAddress, localPort } = socket;
    const why = await vet({ remote: hostPort(remoteAddress, remotePort), local: hostPort(localAddress, localPort) });
    // Closed meanwhile, which was told already.
    if (socket.destroyed || this.#arrivals.get(ends)?.socket !== socket) return;
    if (why === undefined && this.#current !== undefined) return void this.#current.tls.emit('connection', socket);
    const arrival = this.#take(ends);
    this.#cut(socket, arrival?.remoteAddress ?? '', why ?? inNoMesh);
  }

  #take(ends: string): Arrival | undefined {
    const arrival = this.#arrivals.get(ends);
    if (this.#arrivals.delete(ends)) this.#handshakes.ended(arrival?.countedAs);
    return arrival;
  }

  #arrived(socket: TLSSocket): void {
    socket.on('error', () => undefined);
    const arrival = this.#take(endsOf(socket));
    // It closed meanwhile, which was told already.
    if (arrival === undefined) return void socket.destroy();
    const { remoteAddress } = arrival;
    const who = this.#judge(socket);
    if (who === stranger) this.#options.onStranger(socket, remoteAddress);
    else if (typeof who === 'string') this.#cut(socket, remoteAddress, who);
    else if ('refused' in who) this.#cut(socket, remoteAddress, who.refused, { peer: who.peer });
    else this.#options.onMember(socket, who);
  }

  /** Who it is, or why it is refused. */
  #judge(socket: TLSSocket): PeerIdentity | typeof stranger | string | { readonly refused: string; readonly peer: PeerIdentity } {
    const current = this.#current;
    if (current === undefined) return inNoMesh;
    if (socket.isSessionReused()) return 'resumed a TLS session, which this port never allows';
    const certificate = socket.getPeerX509Certificate();
    if (certificate === undefined) {
      return socket.alpnProtocol === 'h2' ? 'no certificate' : stranger;
    }
    if (!socket.authorized) return describeVerifyError(socket.authorizationError);
    try {
      const peer = parseLeaf(certificate.raw);
      if (peer.meshId !== current.identity.meshId) return 'its certificate is of another mesh';
      if (peer.nodeId === current.identity.nodeId) return "it shows this node's own certificate: a clone, or a loop";
      if (socket.alpnProtocol !== 'h2') return 'a member that does not speak HTTP/2';
      const why = this.#options.judge(peer);
      return why === undefined ? peer : { refused: `${peer.name} (${peer.nodeId}) is refused: ${why}`, peer };
    } catch (error) {
      return error instanceof BrokerError ? error.message : `its certificate could not be judged: ${String(error)}`;
    }
  }

  #cut(socket: Socket, remoteAddress: string, why: string, also: Pick<Refusal, 'limit' | 'peer'> = {}): void {
    socket.destroy();
    this.#options.onRefused({ remoteAddress, why, ...also });
  }
}

function isTimeout(error: unknown): boolean {
  return codeOf(error) === 'ERR_TLS_HANDSHAKE_TIMEOUT';
}

function hostPort(address: string | undefined, port: number | undefined): HostPort {
  return { host: plainAddress(address ?? ''), port: port ?? 0 };
}

/** An IPv4 address on a socket of both families is written as IPv6. */
export function plainAddress(address: string): string {
  return address.replace(/^::ffff:(?=\d+\.)/i, '');
}

/** Both ends of a TCP connection: no two live ones have the same. */
function endsOf({ remoteAddress, remotePort, localAddress, localPort }: Socket): string {
  return `${remoteAddress} ${remotePort} ${localAddress} ${localPort}`;
}

function listenError(address: HostPort, error: NodeJS.ErrnoException): BrokerError {
  const where = formatHostPort(address);
  if (error.code === 'EADDRINUSE') {
    return new BrokerError('conflict', `${where} is taken by another program`, {
      hint: 'another node may run here; or choose another port: beckon up --listen HOST:PORT',
      cause: error,
    });
  }
  const why = error.code === 'EADDRNOTAVAIL' ? 'this machine has no such address' : (error.code ?? error.message);
  return new BrokerError('unavailable', `cannot listen on ${where}: ${why}`, {
    hint: 'give an address of this machine: beckon up --listen HOST:PORT',
    cause: error,
  });
}
