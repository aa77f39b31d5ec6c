/** Whether a session that has said hello is taken, when there may be another with the same node. */
import type { NodeId } from '../domain/ids.ts';
import type { Clock } from '../domain/ports.ts';
import type { SignedRecord } from '../domain/registration.ts';
import type { Clones } from './clones.ts';
import { choose } from './election.ts';
import type { Claim } from './election.ts';
import type { Farewell } from './hello.ts';
import type { MeshParts } from './node-mesh.ts';
import { heartbeatEveryMs } from './liveness.ts';
import { probeMs } from './reach-answers.ts';
import type { Session } from './session.ts';

/** A live link is heard at each heartbeat at least. */
const heardLatelyMs = heartbeatEveryMs + 1_000;

export interface Refusal {
  readonly farewell: Farewell;
  readonly detail: string;
  /** What proves `removed` to the peer. */
  readonly revocation?: SignedRecord;
}

export interface SessionAdmissionParts {
  readonly clock: Clock;
  readonly live: ReadonlyMap<NodeId, Session>;
  readonly clones: Clones;
  readonly self: () => NodeId | undefined;
  /** Why a node is a member no longer. */
  readonly removed: MeshParts['removed'];
}

export class SessionAdmission {
  readonly #parts: SessionAdmissionParts;

  constructor(parts: SessionAdmissionParts) {
    this.#parts = parts;
  }

  /**
   * Undefined takes it. Another boot of a node that has a session is either a restart, whose old process is dead, or a
   * second machine with the same key: the old session is asked for a sign of life, whatever the epochs say.
   */
  admit(session: Session): Refusal | undefined | Promise<Refusal | undefined> {
    const admitted = this.#removal(session) ?? this.#besides(session);
    // It may be removed while its other session is asked for a sign of life.
    return admitted instanceof Promise ? admitted.then((refusal) => refusal ?? this.#removal(session)) : admitted;
  }

  #removal({ peer }: Session): Refusal | undefined {
    const removed = this.#parts.removed?.(peer);
    return removed === undefined ? undefined : { farewell: 'removed', detail: removed.why, revocation: removed.revocation };
  }

  #besides(session: Session): Refusal | undefined | Promise<Refusal | undefined> {
    const old = this.#parts.live.get(session.peer.nodeId);
    if (old === undefined) return undefined;
    const ageMs = this.#parts.clock.monotonic() - old.beganMs;
    const choice = choose(this.#claim(old), this.#claim(session), ageMs);
    if (choice === 'take_new') return undefined;
    if (choice === 'keep_old') return { farewell: 'replaced', detail: 'the two nodes have another session already' };
    if (session.path === 'inbound') return this.#probe(old, session);
    // Who was dialled has said hello and goes on speaking: there is no time to ask.
    return old.silentMs < heardLatelyMs ? this.#refuse(old, session) : undefined;
  }

  async #probe(old: Session, session: Session): Promise<Refusal | undefined> {
    const isHeard = await old.probe(probeMs);
    // It ended meanwhile, as the sessions of a process that died do, or another took its place.
    if (this.#parts.live.get(session.peer.nodeId) !== old) return this.#besides(session);
    return isHeard ? this.#refuse(old, session) : undefined;
  }

  #refuse(old: Session, session: Session): Refusal {
    return { farewell: 'clone', detail: this.#parts.clones.seen(old, session) };
  }

  #claim({ hello, path, peer }: Session): Claim {
    return { bootNonce: hello?.bootNonce ?? '', dialledBy: path === 'inbound' ? peer.nodeId : (this.#parts.self() ?? peer.nodeId) };
  }
}
