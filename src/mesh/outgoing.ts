/** Dials: one try at one address, to a session, or to the knowledge that none is needed or possible. */
import { randomBytes } from 'node:crypto';
import type { Duplex } from 'node:stream';
import { BrokerError, conflict, overload, toBrokerError, unavailable } from '../domain/errors.ts';
import type { NodeId } from '../domain/ids.ts';
import type { DialBack } from '../domain/messages.ts';
import type { Clock } from '../domain/ports.ts';
import type { MeshIdentity, PeerIdentity } from '../domain/trust.ts';
import { cloneError, silentError, ungreetedError } from './dial-fault.ts';
import type { DialResult } from './dialler.ts';
import { connect, dialTimeoutMs } from './outbound.ts';
import type { MakeTls, Outbound } from './outbound.ts';
import type { Settle } from './open-sessions.ts';
import type { Route } from './route.ts';
import type { Session } from './session.ts';

/** Addresses of one node that are tried for it. */
const mostTests = 16;

/** A connection that a session can be made of. */
export interface NewSession {
  readonly peer: PeerIdentity;
  readonly path: 'outbound' | 'inbound';
  readonly address: string;
  readonly control: Duplex;
  readonly hangUp: (isOrderly: boolean) => void;
  readonly openData?: () => Duplex;
  readonly sessionId?: string;
}

export interface OutgoingParts {
  readonly clock: Clock;
  readonly makeTls: MakeTls;
  readonly route: Route;
  /** Undefined: nobody is dialled. */
  readonly identity: () => MeshIdentity | undefined;
  /** Whether a session with that node is wanted: there is none, or none that is heard. */
  readonly isWanted: (nodeId: NodeId) => boolean;
  readonly begin: (connection: NewSession, settle: Settle) => Session;
  /** Gives up what is under way. */
  readonly signal: () => AbortSignal;
}

export class Outgoing {
  readonly #parts: OutgoingParts;
  /** Nodes that a dial has reached but not greeted yet. */
  readonly #greeting = new Set<NodeId>();
  /** Nodes whose addresses are being tried for them. */
  readonly #testing = new Set<NodeId>();

  constructor(parts: OutgoingParts) {
    this.#parts = parts;
  }

  /**
   * @param lookMs first sees, for so long, whether anything answers there at all
   * @throws BrokerError, whose message says why for people
   */
  async dial(address: string, lookMs?: number): Promise<DialResult> {
    const { identity, isWanted } = this.#parts;
    const own = identity();
    if (own === undefined) throw unavailable('this node is in no mesh');
    let known: DialResult | undefined;
    let greeted: NodeId | undefined;
    let outbound: Outbound;
    try {
      outbound = await this.#connect(address, own, lookMs, (peer) => {
        if (peer.nodeId === own.nodeId) known = { kind: 'self' };
        else if (!isWanted(peer.nodeId) || this.#greeting.has(peer.nodeId)) known = { kind: 'linked', peer };
        if (known !== undefined) throw conflict('no connection is needed');
        greeted = peer.nodeId;
        this.#greeting.add(greeted);
      });
    } catch (error) {
      if (greeted !== undefined) this.#greeting.delete(greeted);
      if (known !== undefined) return known;
      throw error;
    }
    try {
      return await this.#greet(address, outbound);
    } finally {
      this.#greeting.delete(outbound.peer.nodeId);
    }
  }

  /** Whether that node answers at each of these. @throws BrokerError `overload` while the same is being found out */
  async testAll(addresses: readonly string[], nodeId: NodeId): Promise<readonly DialBack[]> {
    if (this.#testing.has(nodeId)) throw overload('its addresses are being tried already', dialTimeoutMs);
    this.#testing.add(nodeId);
    try {
      return await Promise.all(addresses.slice(0, mostTests).map((address) => this.#test(address, nodeId)));
    } finally {
      this.#testing.delete(nodeId);
    }
  }

  /** No session comes of it. Never rejects. */
  async #test(address: string, nodeId: NodeId): Promise<DialBack> {
    const own = this.#parts.identity();
    let answered: PeerIdentity | undefined;
    try {
      if (own === undefined) throw unavailable('this node is in no mesh');
      await this.#connect(address, own, undefined, (peer) => {
        answered = peer;
        throw conflict('that is all there was to know');
      });
    } catch (error) {
      if (answered === undefined) return { address, reached: false, why: toBrokerError(error).message };
    }
    if (answered?.nodeId === nodeId) return { address, reached: true };
    return { address, reached: false, why: `another node answers at ${address}: ${answered?.name}` };
  }

  async #connect(address: string, own: MeshIdentity, lookMs: number | undefined, onServer: (peer: PeerIdentity) => void): Promise<Outbound> {
    const { makeTls, clock, route } = this.#parts;
    const signal = this.#parts.signal();
    const way = await route(address, { clock, signal, ...(lookMs === undefined ? {} : { lookMs }) });
    try {
      return await connect(way.target, own, { address, makeTls, clock, signal, onServer });
    } finally {
      way.close();
    }
  }

  #greet(address: string, { peer, control, openData, hangUp }: Outbound): Promise<DialResult> {
    return new Promise((resolve, reject) => {
      const sessionId = randomBytes(16).toString('hex');
      const session = this.#parts.begin({ peer, path: 'outbound', address, control, openData, sessionId, hangUp }, (end) => {
        cancelTimer();
        if (end === undefined) return resolve({ kind: 'up', peer });
        if (end.farewell === 'replaced') return resolve({ kind: 'linked', peer });
        if (end.farewell === 'incompatible') return reject(new BrokerError('incompatible', end.why));
        if (end.farewell === 'clone') return reject(cloneError(end.why));
        reject(isSilent ? silentError(address) : ungreetedError(peer.name, address, end.why));
      });
      let isSilent = false;
      const cancelTimer = this.#parts.clock.setTimer(dialTimeoutMs, () => {
        if (session.isUp) return;
        isSilent = true;
        session.cut('no answer to the greeting');
      });
    });
  }
}
