/** Nodes of one mesh in this process: real TLS on loopback, the real front, a core that only remembers. */
import { randomBytes } from 'node:crypto';
import { createSystemUlids } from '../../src/app/system-ulids.ts';
import type { LimitName } from '../../src/domain/limits.ts';
import type { PeerAnswer, PeerMessage, PeerQuery } from '../../src/domain/messages.ts';
import type { Link, LinkDigest, LinkHandler } from '../../src/domain/mesh-port.ts';
import type { Clock, Log } from '../../src/domain/ports.ts';
import type { MeshIdentity, PeerIdentity } from '../../src/domain/trust.ts';
import { formatHostPort } from '../../src/domain/host-port.ts';
import { invocationIdOf } from '../../src/domain/ids.ts';
import type { InvocationId } from '../../src/domain/ids.ts';
import { encodeHlc } from '../../src/domain/hlc.ts';
import type { Forward } from '../../src/domain/messages.ts';
import { createMesh } from '../../src/mesh/mesh.ts';
import type { NodeMesh } from '../../src/mesh/node-mesh.ts';
import { clientTls } from '../../src/trust/client-tls.ts';
import { Front } from '../../src/trust/front.ts';
import { FakeHealth } from '../support/fake-health.ts';
import { waitFor } from '../support/wait-for.ts';

/** Runs so many times faster than the wall: 18 s of silence take 1.8 s. */
export function fastClock(factor = 10): Clock {
  const startMs = Date.now();
  const startedAt = performance.now();
  const passed = (): number => (performance.now() - startedAt) * factor;
  return {
    now: () => Math.trunc(startMs + passed()),
    monotonic: passed,
    setTimer: (ms, fn) => {
      const timer = setTimeout(fn, ms / factor).unref();
      return () => clearTimeout(timer);
    },
  };
}

export interface LogLine {
  readonly level: 'debug' | 'info' | 'warn' | 'error';
  readonly message: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

export class TestNode implements AsyncDisposable {
  readonly mesh: NodeMesh;
  readonly front: Front;
  readonly identity: MeshIdentity;
  readonly messages: PeerMessage[] = [];
  readonly senders: PeerIdentity[] = [];
  readonly ups: Link[] = [];
  readonly downs: { readonly link: Link; readonly why: string }[] = [];
  readonly logged: LogLine[] = [];
  readonly refusals: string[] = [];
  readonly overLimits: LimitName[] = [];
  /** What the core does with a message besides remembering it. */
  onMessage: (message: PeerMessage) => Promise<void> = () => Promise.resolve();
  onQuery: (query: PeerQuery) => Promise<PeerAnswer> = () => Promise.resolve({ type: 'ping' });
  /** What its heartbeats say, and what others' said. */
  digest: LinkDigest = { root: '', gossips: false };
  readonly digests: LinkDigest[] = [];
  isRemembering = true;
  address = '';
  /** Whether others are told where this node listens. */
  isTelling = true;
  /** Other addresses that others are told. */
  alsoTold: readonly string[] = [];
  #listen: number;
  #isListening = false;

  constructor(identity: MeshIdentity, { clock = fastClock(), random = Math.random, seeds = [], epoch = 1, bootNonce = randomBytes(16), listen = 0, onClone, isOwed, refusal }: NodeOptions = {}) {
    this.identity = identity;
    this.#listen = listen;
    const log = this.#log();
    this.mesh = createMesh({
      identity,
      clock,
      random,
      log,
      seeds,
      hello: {
        epoch,
        previousEpoch: 0,
        seenEpochs: () => [],
        bootNonce,
        version: '0.0.0-test',
        addresses: () => [...(this.isTelling && this.address !== '' ? [this.address] : []), ...this.alsoTold],
        hlc: () => encodeHlc({ ms: Math.trunc(clock.now()), counter: 0 }),
      },
      tls: clientTls,
      health: new FakeHealth(),
      onOverLimit: (limit) => void this.overLimits.push(limit),
      handler: {
        onUp: (link) => void this.ups.push(link),
        onDown: (link, why) => void this.downs.push({ link, why }),
        onQuery: (_link, query) => this.onQuery(query),
        ...(onClone === undefined ? {} : { onClone }),
        ...(isOwed === undefined ? {} : { isOwed }),
        digest: () => this.digest,
        onDigest: (_link, digest) => void this.digests.push(digest),
        onMessage: (link, message) => {
          if (this.isRemembering) {
            this.messages.push(message);
            this.senders.push(link.peer);
          }
          return this.onMessage(message);
        },
      },
    });
    this.front = new Front({
      judge: () => refusal,
      onMember: (socket, peer) => this.mesh.accept(socket, peer),
      onStranger: (socket) => socket.destroy(),
      onRefused: ({ why }) => void this.refusals.push(why),
      now: () => clock.monotonic(),
    });
    this.front.setIdentity(identity);
  }

  /** Its address is known from then on. */
  async listen(): Promise<void> {
    const [address] = await this.front.start([{ host: '127.0.0.1', port: this.#listen }]);
    if (address !== undefined) this.address = formatHostPort(address);
    this.#listen = address?.port ?? this.#listen;
    this.#isListening = true;
  }

  async start(): Promise<this> {
    if (!this.#isListening) await this.listen();
    await this.mesh.start();
    return this;
  }

  async stop(): Promise<void> {
    this.#isListening = false;
    await this.mesh.stop();
    await this.front.stop();
  }

  /** The live link to another node, as soon as there is one. */
  linkTo(other: { readonly identity: MeshIdentity }, timeoutMs = 5000): Promise<Link> {
    return waitFor(`a link from ${this.identity.name} to ${other.identity.name}`, () => this.mesh.link(other.identity.nodeId), { timeoutMs });
  }

  stateOf(other: { readonly identity: MeshIdentity }): string | undefined {
    return this.mesh.peers().find(({ nodeId }) => nodeId === other.identity.nodeId)?.state;
  }

  async becomes(other: { readonly identity: MeshIdentity }, state: string, timeoutMs = 10_000): Promise<void> {
    await waitFor(`${other.identity.name} to be ${state} for ${this.identity.name}`, () => this.stateOf(other) === state, { timeoutMs });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  #log(): Log {
    const at = (level: LogLine['level']) => (fields: Readonly<Record<string, unknown>>, message: string) =>
      void this.logged.push({ level, fields, message });
    return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
  }
}

export interface NodeOptions {
  readonly clock?: Clock;
  readonly random?: () => number;
  readonly seeds?: readonly string[];
  readonly epoch?: number;
  readonly bootNonce?: Uint8Array;
  readonly listen?: number;
  readonly onClone?: NonNullable<LinkHandler['onClone']>;
  readonly isOwed?: NonNullable<LinkHandler['isOwed']>;
  /** Why its front refuses every member. */
  readonly refusal?: string;
}

const ulids = createSystemUlids(Date);
export const newInvocationId = (): InvocationId => invocationIdOf(ulids.next());
export const someHlc = encodeHlc({ ms: 1, counter: 1 });

export function forwardOf(from: TestNode, to: TestNode, text: Uint8Array, files: Forward['task']['files'] = []): Forward {
  const id = newInvocationId();
  return {
    type: 'forward',
    invocation: {
      id,
      originNodeId: from.identity.nodeId,
      caller: 'uid:501',
      addressTyped: 'fabric',
      target: `@fabric@${to.identity.name}#main`,
      ownerNodeId: to.identity.nodeId,
      session: { mode: 'new' },
      limits: { holdMs: 1000, totalMs: 2000 },
      rerunnable: false,
      ancestry: { rootId: id, depth: 0, path: [] },
      acceptedAtMs: 5,
    },
    task: { text, files },
    attempt: 1,
    hlc: someHlc,
  };
}
