/** What becomes of peers, written to the log and told to whoever listens. */
import type { BrokerError } from '../domain/errors.ts';
import type { NodeId } from '../domain/ids.ts';
import { peerFields } from '../domain/log-fields.ts';
import type { PeerView } from '../domain/mesh-port.ts';
import type { PeerState } from '../domain/peer.ts';
import { OnceAnHour } from '../domain/once-an-hour.ts';
import type { Clock, Log } from '../domain/ports.ts';
import type { PeerIdentity } from '../domain/trust.ts';
import type { TargetView } from './dialler.ts';
import type { Session } from './session.ts';
import type { SessionEnd } from './session-parts.ts';

export type PeerListener = (peer: PeerView, from: PeerState | undefined) => void;

export class News {
  readonly #log: Log;
  /** By whom this node is refused as a clone: said once, until it has a session. */
  readonly #refusedBy = new Set<NodeId>();
  /** A peer can refuse and take it as often as it likes. */
  readonly #refusals: OnceAnHour;
  /** Who connected, and said no hello: told once, until it has a session. */
  readonly #speechless = new Set<NodeId>();
  readonly #listeners = new Set<PeerListener>();

  constructor(clock: Pick<Clock, 'monotonic'>, log: Log) {
    this.#log = log;
    this.#refusals = new OnceAnHour(clock);
  }

  listen(listener: PeerListener): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  moved(peer: PeerView, from: PeerState | undefined): void {
    if (from !== undefined) {
      this.#log.info({ ...peerFields(peer), address: peer.address, from, to: peer.state }, `peer ${peer.name} is ${peer.state}: ${peer.why}`);
    }
    for (const listen of this.#listeners) listen(peer, from);
  }

  dialFailed({ address, sources, nodes, why }: TargetView, error: BrokerError): void {
    // Most machines that discovery finds run no node, and that is nobody's trouble.
    const level = nodes.length > 0 || sources.includes('seed') ? 'info' : 'debug';
    this.#log[level]({ address, code: error.code }, `not reached at ${address}: ${why}`);
  }

  ended({ peer, address, path, hello }: Session, { farewell, saidBy, why }: SessionEnd): void {
    if (path === 'inbound' && hello === undefined && farewell === undefined && !this.#speechless.has(peer.nodeId)) {
      this.#speechless.add(peer.nodeId);
      this.#log.info({ ...peerFields(peer), address, why }, `${peer.name} connected, and no session came of it`);
    }
    if (farewell === 'protocol') this.#log.warn({ ...peerFields(peer), address, saidBy }, `the session with ${peer.name} broke the protocol: ${why}`);
    if (farewell !== 'clone' || saidBy !== 'peer' || this.#refusedBy.has(peer.nodeId)) return;
    this.#refusedBy.add(peer.nodeId);
    if (this.#refusals.counts(peer.nodeId)) this.#log.error({ ...peerFields(peer), address }, `${peer.name} refuses this node: ${why}`);
  }

  began({ peer }: Session): void {
    this.#refusedBy.delete(peer.nodeId);
    this.#speechless.delete(peer.nodeId);
  }

  /** A fault of the core must not take the session's bookkeeping with it. */
  guard(what: 'up' | 'down', peer: PeerIdentity, handle: () => void): void {
    try {
      handle();
    } catch (error) {
      this.#log.error({ ...peerFields(peer), err: error }, `the core failed at a link that went ${what}`);
    }
  }
}
