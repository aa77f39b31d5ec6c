/** Sessions that are not down yet, live or still opening, with what waits for each and the data streams they take. */
import { invalid } from '../domain/errors.ts';
import type { NodeId } from '../domain/ids.ts';
import type * as wire from '../gen/beckon/v1/mesh.ts';
import type { FrameStream } from './frame-stream.ts';
import type { Session } from './session.ts';
import type { SessionEnd } from './session-parts.ts';

/** Called once: with nothing when the session is up, or with its end when it never was. */
export type Settle = (end: SessionEnd | undefined) => void;

export class OpenSessions {
  readonly #open = new Map<Session, Settle | undefined>();
  /** Data streams of inbound sessions, to find what they send. */
  readonly #dataOf = new Map<FrameStream, Session>();

  all(): readonly Session[] {
    return [...this.#open.keys()];
  }

  closeAll(farewell: 'stopping' | 'left', why: string): void {
    for (const session of this.all()) session.close(farewell, why);
  }

  add(session: Session, settle?: Settle): void {
    this.#open.set(session, settle);
  }

  up(session: Session): void {
    const settle = this.#open.get(session);
    this.#open.set(session, undefined);
    settle?.(undefined);
  }

  down(session: Session, end: SessionEnd): void {
    const settle = this.#open.get(session);
    this.#open.delete(session);
    for (const [stream, owner] of this.#dataOf) if (owner === session) this.#dataOf.delete(stream);
    settle?.(end);
  }

  /** @throws BrokerError `invalid` when no inbound session of that peer and id waits for it */
  attach(nodeId: NodeId, sessionId: string, stream: FrameStream, rest: readonly wire.DataFrame[]): void {
    for (const session of this.#open.keys()) {
      if (session.path !== 'inbound' || session.peer.nodeId !== nodeId) continue;
      if (session.hello?.sessionId !== sessionId || !session.wantsData) continue;
      this.#dataOf.set(stream, session);
      return session.attachData(stream, rest);
    }
    throw invalid('no session of that id waits for its data stream');
  }

  /** What leaves on a data stream next. */
  pull(stream: FrameStream): Uint8Array | undefined {
    return this.#dataOf.get(stream)?.pullData();
  }
}
