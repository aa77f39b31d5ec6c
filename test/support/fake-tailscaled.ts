/**
 * A tailscaled for tests, as the real one behaves at its LocalAPI: the host it insists on, null for what is empty, text for
 * errors, a bus without heartbeat that throws slow watchers out. Shapes and words are those of the recorded answers.
 */
import { rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { connect } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import type { Duplex } from 'node:stream';

export interface FakeMachine {
  readonly id: string;
  readonly name: string;
  readonly addresses: readonly string[];
  readonly user?: string;
  readonly tags?: readonly string[];
  readonly online?: boolean;
  readonly expired?: boolean;
  readonly os?: string;
  readonly routes?: readonly string[];
  /** What it may do to this machine. */
  readonly capabilities?: Readonly<Record<string, readonly unknown[]>>;
  /** Keys of PeerStatus, over what is made from the rest. */
  readonly raw?: Readonly<Record<string, unknown>>;
}

export interface FakeTailnet {
  state?: 'NoState' | 'NeedsLogin' | 'NeedsMachineAuth' | 'Stopped' | 'Starting' | 'Running';
  isUserspace?: boolean;
  self: FakeMachine;
  peers?: readonly FakeMachine[];
}

/** What it does to every request from now on: answers nothing, answers garbage, or breaks answers off half way. */
export type FakeTrouble = 'hang' | 'garbage' | 'cut' | undefined;

export type FakePlace = { readonly path: string } | { readonly token: string };

/** Numbers of ipn.State. */
const stateNumbers = { NoState: 0, NeedsLogin: 2, NeedsMachineAuth: 3, Stopped: 4, Starting: 5, Running: 6 } as const;
const zeroTime = '0001-01-01T00:00:00Z';
const suffix = 'tn.test';
const taggedUser = '2147455555';

export class FakeTailscaled implements AsyncDisposable {
  trouble: FakeTrouble;
  /** METHOD path of each request. */
  readonly requests: string[] = [];
  /** Where `dial` leads for host:port; without an entry nobody listens there. */
  readonly dialled = new Map<string, { readonly host: string; readonly port: number } | { readonly path: string }>();
  /** Inbound connections of a userspace tailscaled: host:port as the listener sees it, and the id of who it is. */
  readonly inbound = new Map<string, string>();
  /** Notices that a watcher may leave unread. */
  watcherQueue = 64;
  #tailnet: Required<FakeTailnet>;
  readonly #where: FakePlace;
  #server: Server | undefined;
  readonly #sockets = new Set<Duplex>();
  readonly #watchers = new Set<{ readonly response: ServerResponse; unread: number }>();

  private constructor(where: FakePlace, tailnet: FakeTailnet) {
    this.#where = where;
    this.#tailnet = complete(tailnet);
  }

  /** At a socket, or with a token at a port, as the applications for macOS. */
  static async start(where: FakePlace, tailnet: FakeTailnet): Promise<FakeTailscaled> {
    const fake = new FakeTailscaled(where, tailnet);
    await fake.restart();
    return fake;
  }

  get port(): number {
    const address = this.#server?.address() as AddressInfo | undefined;
    return address?.port ?? 0;
  }

  get watchers(): number {
    return this.#watchers.size;
  }

  /** Ends as a daemon ends: every stream with it. */
  async stop(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    for (const socket of this.#sockets) socket.destroy();
    this.#watchers.clear();
    if (server !== undefined) await new Promise((resolve) => server.close(resolve));
  }

  async restart(): Promise<void> {
    await this.stop();
    const server = createServer((request, response) => this.#serve(request, response));
    server.on('upgrade', (request, socket: Socket, head: Buffer) => this.#upgrade(request, socket, head));
    server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket);
      socket.on('error', () => undefined);
      socket.once('close', () => this.#sockets.delete(socket));
    });
    this.#server = server;
    const where = this.#where;
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      if ('path' in where) {
        rmSync(where.path, { force: true });
        server.listen(where.path, resolve);
      } else server.listen(0, '127.0.0.1', resolve);
    });
  }

  /** Changes the tailnet, and tells those who watch as the real one does. */
  change(change: Partial<FakeTailnet>): void {
    const before = this.#tailnet;
    this.#tailnet = complete({ ...before, ...change });
    if (change.state !== undefined && change.state !== before.state) this.#notify({ State: stateNumbers[change.state] });
    const changed = (change.peers ?? []).filter((peer) => !before.peers.includes(peer)).map((peer) => ({ StableID: peer.id, Name: `${peer.name}.${suffix}.`, Online: peer.online ?? true }));
    const removed = change.peers === undefined ? [] : before.peers.filter(({ id }) => !change.peers?.some((peer) => peer.id === id)).map(({ id }) => Number(id) || 0);
    if (change.self !== undefined) this.#notify({ SelfChange: { StableID: change.self.id } });
    if (changed.length > 0) this.#notify({ PeersChanged: changed });
    if (removed.length > 0) this.#notify({ PeersRemoved: removed });
    // Such come in between, and say nothing.
    this.#notify({});
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  #notify(content: object): void {
    for (const watcher of this.#watchers) {
      watcher.unread += 1;
      if (watcher.unread > this.watcherQueue) {
        this.#watchers.delete(watcher);
        watcher.response.end(`${JSON.stringify(notice({ ErrMessage: 'watcher fell behind; disconnecting' }))}\n`);
        continue;
      }
      watcher.response.write(`${JSON.stringify(notice(content))}\n`, () => (watcher.unread -= 1));
    }
  }

  #serve(request: IncomingMessage, response: ServerResponse): void {
    const { method = '', url = '' } = request;
    this.requests.push(`${method} ${url}`);
    if (this.trouble === 'hang') return;
    const refusal = this.#refusal(request);
    if (refusal !== undefined) return text(response, refusal.status, refusal.words);
    if (this.trouble === 'garbage') return text(response, 200, '{"BackendState": "Runn\u0000');
    if (this.trouble === 'cut') {
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': '1000' });
      response.write('{"Version":', () => request.socket.destroy());
      return;
    }
    const { pathname, searchParams } = new URL(url, 'http://local-tailscaled.sock');
    switch (pathname) {
      case '/localapi/v0/status':
        return json(response, this.#status(searchParams.get('peers') !== 'false'));
      case '/localapi/v0/whois':
        return this.#whois(searchParams.get('addr') ?? '', response);
      case '/localapi/v0/watch-ipn-bus':
        return this.#watch(Number(searchParams.get('mask')), response);
      case '/localapi/v0/ping':
        if (method !== 'POST') return text(response, 400, 'want POST');
        return json(response, this.#ping(searchParams.get('ip') ?? ''));
      case '/localapi/v0/dial':
        return text(response, 400, 'bad ts-dial upgrade');
      default:
        return text(response, 404, '404 page not found');
    }
  }

  #refusal({ headers }: IncomingMessage): { readonly status: number; readonly words: string } | undefined {
    if (headers.host !== 'local-tailscaled.sock' || headers.origin !== undefined || headers.referer !== undefined) return { status: 403, words: 'invalid localapi request' };
    if ('path' in this.#where) return undefined;
    const expected = `Basic ${Buffer.from(`:${this.#where.token}`).toString('base64')}`;
    return headers.authorization === expected ? undefined : { status: 401, words: 'auth required' };
  }

  #upgrade(request: IncomingMessage, socket: Socket, head: Buffer): void {
    this.requests.push(`${request.method ?? ''} ${request.url ?? ''}`);
    if (this.trouble === 'hang') return;
    const answer = (status: string, words: string): void => void socket.end(`HTTP/1.1 ${status}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: ${words.length}\r\nConnection: close\r\n\r\n${words}`);
    if (this.#refusal(request) !== undefined) return answer('403 Forbidden', 'invalid localapi request\n');
    const { 'dial-host': host = '', 'dial-port': port = '' } = request.headers as Record<string, string>;
    const isMachine = this.#machines().some(({ addresses, name }) => addresses.includes(host) || [name, `${name}.${suffix}`].includes(host));
    if (!isMachine) return answer('200 OK', '');
    const target = this.dialled.get(`${host}:${port}`);
    if (target === undefined) return answer('502 Bad Gateway', `dial failure: connect tcp ${host}:${port}: connection was refused\n`);
    const onward = connect(target as { host: string; port: number });
    this.#sockets.add(onward);
    onward.on('error', () => answer('502 Bad Gateway', 'dial failure: connection was refused\n'));
    onward.once('close', () => {
      this.#sockets.delete(onward);
      socket.destroy();
    });
    onward.once('connect', () => {
      socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: ts-dial\r\n\r\n');
      onward.write(head);
      socket.pipe(onward).pipe(socket);
      socket.once('close', () => onward.destroy());
    });
  }

  #watch(mask: number, response: ServerResponse): void {
    response.writeHead(200, { 'content-type': 'application/json' });
    const watcher = { response, unread: 0 };
    if ((mask & 4096) !== 0) this.#watchers.add(watcher);
    response.once('close', () => this.#watchers.delete(watcher));
    response.write(`${JSON.stringify(notice((mask & 2) === 0 ? {} : { SessionID: 'b8b3fc0aad700285', State: stateNumbers[this.#tailnet.state] }))}\n`);
  }

  #ping(ip: string): object {
    const peer = this.#machines().find(({ addresses }) => addresses.includes(ip));
    const rest = { IP: ip, PeerRelay: '', DERPRegionID: 0, DERPRegionCode: '' };
    if (peer === undefined) return { ...rest, NodeIP: '', NodeName: '', Err: 'no matching peer', LatencySeconds: 0, Endpoint: '' };
    return { ...rest, NodeIP: ip, NodeName: peer.name, Err: '', LatencySeconds: 0.00018426, Endpoint: '10.99.0.13:55858' };
  }

  #whois(addr: string, response: ServerResponse): void {
    const match = /^(?:\[([0-9a-f:]+)\]|([0-9.]+)):(\d+)$/.exec(addr);
    if (match === null) return text(response, 400, "invalid 'addr' parameter");
    const ip = match[1] ?? match[2] ?? '';
    const known = this.inbound.get(addr);
    const found = this.#machines().find(({ id, addresses }) => id === known || addresses.includes(ip));
    if (found === undefined || this.#tailnet.state === 'NoState' || this.#tailnet.state === 'NeedsLogin') return text(response, 404, 'no match for IP:port');
    json(response, {
      Node: {
        ID: Number(found.id) || 1, StableID: found.id, Name: `${found.name}.${suffix}.`, User: Number(this.#userId(found)), Key: `nodekey:${found.id}`,
        Addresses: found.addresses.map((each) => `${each}/${each.includes(':') ? 128 : 32}`), Hostinfo: { OS: found.os ?? 'linux', Hostname: found.name, ...(found.raw?.['ShareeNode'] === true ? { ShareeNode: true } : {}) },
        ...(found.tags === undefined ? {} : { Tags: found.tags }), ...(found.routes === undefined ? {} : { PrimaryRoutes: found.routes }),
        ...(found.expired === true ? { Expired: true } : {}), Online: found.online ?? true, ComputedName: found.name,
      },
      UserProfile: this.#profile(found),
      CapMap: found.capabilities ?? null,
    });
  }

  #status(withPeers: boolean): object {
    const { state, isUserspace, self, peers } = this.#tailnet;
    const isLoggedIn = state !== 'NoState' && state !== 'NeedsLogin';
    const users = Object.fromEntries(this.#machines().map((each) => [this.#userId(each), this.#profile(each)]));
    const listed = Object.fromEntries(peers.map((peer) => [`nodekey:${peer.id}`, this.#peerStatus(peer)]));
    return {
      Version: '1.103.0', TUN: !isUserspace, BackendState: state, ...(isLoggedIn ? { HaveNodeKey: true } : {}), AuthURL: '',
      TailscaleIPs: isLoggedIn ? self.addresses : null,
      Self: isLoggedIn ? this.#peerStatus(self) : { ID: '', NodeID: 0, PublicKey: 'nodekey:0', HostName: self.name, DNSName: '', OS: 'linux', UserID: 0, TailscaleIPs: null, Addrs: null, Online: false },
      Health: ['This is a fake.'], MagicDNSSuffix: isLoggedIn ? suffix : '',
      CurrentTailnet: isLoggedIn ? { Name: 'tailnet.test', MagicDNSSuffix: suffix, MagicDNSEnabled: true } : null,
      CertDomains: null, Peer: isLoggedIn && withPeers && peers.length > 0 ? listed : null, User: isLoggedIn && withPeers ? users : null, ClientVersion: null,
    };
  }

  #peerStatus(machine: FakeMachine): object {
    return {
      ID: machine.id, NodeID: Number(machine.id) || 1, PublicKey: `nodekey:${machine.id}`, HostName: machine.name, DNSName: `${machine.name}.${suffix}.`, OS: machine.os ?? 'linux',
      UserID: Number(this.#userId(machine)), TailscaleIPs: machine.addresses.length === 0 ? null : machine.addresses, ...(machine.tags === undefined ? {} : { Tags: machine.tags }),
      ...(machine.expired === true ? { Expired: true } : {}), Addrs: null, CurAddr: '', Relay: 'hs', RxBytes: 0, TxBytes: 0, Created: zeroTime, LastWrite: zeroTime, LastSeen: zeroTime,
      LastHandshake: zeroTime, Online: machine.online ?? true, ExitNode: false, ExitNodeOption: false, Active: false, PeerAPIURL: null, InNetworkMap: true, ...machine.raw,
    };
  }

  #machines(): readonly FakeMachine[] {
    return [this.#tailnet.self, ...this.#tailnet.peers];
  }

  /** One a login name. */
  #userId({ tags, user = '' }: FakeMachine): string {
    if (tags !== undefined) return taggedUser;
    return String([...new Set(this.#machines().map((each) => each.user))].indexOf(user) + 1);
  }

  #profile(machine: FakeMachine): object {
    const name = machine.tags === undefined ? (machine.user ?? '') : 'tagged-devices';
    return { ID: Number(this.#userId(machine)), LoginName: name, DisplayName: name };
  }
}

function complete({ state = 'Running', isUserspace = false, self, peers = [] }: FakeTailnet): Required<FakeTailnet> {
  return { state, isUserspace, self, peers };
}

function notice(content: object): object {
  return { Version: '1.103.0', ErrMessage: null, LoginFinished: null, State: null, Prefs: null, NetMap: null, Engine: null, BrowseToURL: null, ...content };
}

function json(response: ServerResponse, body: object): void {
  response.writeHead(200, { 'content-type': 'application/json' });
  response.end(JSON.stringify(body, undefined, '\t'));
}

function text(response: ServerResponse, status: number, words: string): void {
  response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8' });
  response.end(`${words}\n`);
}
