/**
 * A certificate is judged when a connection begins; a session may outlive it. So that nobody is a member longer than its
 * certificate says, sessions of members whose newest certificate has ended are ended, and gossip with them.
 *
 * A wall clock that has just jumped may jump back (a time service that was late, a person's slip): it is believed again after
 * ten minutes, and until then by how it would be without the jump.
 */
import type { NodeId } from '../domain/ids.ts';
import { peerFields } from '../domain/log-fields.ts';
import type { Clock, Log } from '../domain/ports.ts';
import type { Member, Store } from '../domain/store-port.ts';
import type { LiveSession } from '../mesh/node-mesh.ts';
import { lifeOf } from '../trust/certificate.ts';

const jumpMs = 60_000;
const doubtMs = 10 * 60_000;

type Certified = Pick<Member, 'nodeId' | 'notBeforeMs' | 'chain'>;

export interface CertificateEndsParts {
  readonly store: Pick<Store, 'read'>;
  readonly clock: Clock;
  readonly log: Log;
  readonly sessions: () => readonly LiveSession[];
  /** Members are not to be gossiped with any more, or again. */
  readonly onEnded: () => void;
}

export class CertificateEnds {
  readonly #parts: CertificateEndsParts;
  /** Reading one takes time, and they are asked for by the second. */
  readonly #ends = new Map<NodeId, { readonly notBeforeMs: number; readonly endMs: number }>();
  /** How far the wall clock is ahead of the monotonic one, as far as it is believed. */
  #offsetMs: number;
  /** A jump that is not believed yet, and since when. Monotonic. */
  #doubt: { readonly offsetMs: number; readonly sinceMs: number } | undefined;
  #gossipless = '';

  constructor(parts: CertificateEndsParts) {
    this.#parts = parts;
    this.#offsetMs = parts.clock.now() - parts.clock.monotonic();
  }

  hasEnded(member: Certified): boolean {
    return this.#endOf(member) < this.#now();
  }

  /** Every few seconds. */
  look(): void {
    const { store, sessions, log, onEnded } = this.#parts;
    const nowMs = this.#now();
    for (const session of sessions()) {
      const { peer } = session;
      // Renewed since, it goes on.
      const known = store.read.member(peer.nodeId);
      const endMs = Math.max(peer.notAfterMs, known === undefined ? 0 : this.#endOf(known));
      if (endMs >= nowMs) continue;
      const why = `the certificate of ${peer.name} ended on ${new Date(endMs).toISOString()}`;
      log.warn({ ...peerFields(peer), address: session.address }, `the session with ${peer.name} ends: ${why}`);
      session.cut(why);
    }
    const ended = store.read.members().filter((each) => this.#endOf(each) < nowMs).map(({ nodeId }) => nodeId).join();
    if (ended !== this.#gossipless) onEnded();
    this.#gossipless = ended;
  }

  #endOf({ nodeId, notBeforeMs, chain }: Certified): number {
    const known = this.#ends.get(nodeId);
    if (known?.notBeforeMs === notBeforeMs) return known.endMs;
    const endMs = lifeOf(chain.leaf).notAfterMs;
    this.#ends.set(nodeId, { notBeforeMs, endMs });
    return endMs;
  }

  #now(): number {
    const { clock } = this.#parts;
    const monotonicMs = clock.monotonic();
    const offsetMs = clock.now() - monotonicMs;
    if (Math.abs(offsetMs - this.#offsetMs) < jumpMs) {
      this.#offsetMs = offsetMs;
      this.#doubt = undefined;
    } else if (this.#doubt === undefined || Math.abs(offsetMs - this.#doubt.offsetMs) >= jumpMs) this.#doubt = { offsetMs, sinceMs: monotonicMs };
    else if (monotonicMs - this.#doubt.sinceMs >= doubtMs) {
      this.#offsetMs = offsetMs;
      this.#doubt = undefined;
    }
    return monotonicMs + this.#offsetMs;
  }
}
