/** Nodes whose key two machines were seen to use at once: what is said of it, once, and for how long it is remembered. */
import type { CloneSighting, PeerView } from '../domain/mesh-port.ts';
import type { NodeId } from '../domain/ids.ts';
import { peerFields } from '../domain/log-fields.ts';
import type { Clock, Log } from '../domain/ports.ts';
import type { Session } from './session.ts';

/** After the last time that the second one tried. */
const rememberedMs = 3_600_000;
const mostRemembered = 100;

export interface ClonesParts {
  readonly clock: Clock;
  readonly log: Log;
  /** Called once for each pair of machines while it is remembered. */
  readonly onSeen: (sighting: CloneSighting) => void;
}

export class Clones {
  readonly #parts: ClonesParts;
  readonly #seen = new Map<string, CloneSighting>();

  constructor(parts: ClonesParts) {
    this.#parts = parts;
  }

  /** Both are alive. @returns the words for both of them */
  seen(kept: Session, refused: Session): string {
    const { clock, log, onSeen } = this.#parts;
    this.#forget();
    const { nodeId, name } = kept.peer;
    const [keptAt, refusedAt] = [placeOf(kept), placeOf(refused)];
    const key = `${nodeId} ${keptAt} ${refusedAt}`;
    const before = this.#seen.get(key);
    const sighting = { nodeId, name, kept: keptAt, refused: refusedAt, firstMs: before?.firstMs ?? clock.now(), lastMs: clock.now() };
    this.#seen.set(key, sighting);
    const words = cloneWords(sighting);
    if (before === undefined) {
      log.error({ ...peerFields(kept.peer), kept: keptAt, refused: refusedAt }, words);
      onSeen(sighting);
    }
    return words;
  }

  list(): readonly CloneSighting[] {
    this.#forget();
    return [...this.#seen.values()];
  }

  /** What `peers` says of a node that is connected and has a clone. */
  marked(peer: PeerView): PeerView {
    const sighting = this.#of(peer.nodeId);
    return sighting === undefined ? peer : { ...peer, why: `${peer.why}; ${cloneWords(sighting)}` };
  }

  #of(nodeId: NodeId): CloneSighting | undefined {
    return this.list().findLast((each) => each.nodeId === nodeId);
  }

  #forget(): void {
    const now = this.#parts.clock.now();
    for (const [key, { lastMs }] of this.#seen) if (now - lastMs > rememberedMs || this.#seen.size > mostRemembered) this.#seen.delete(key);
  }
}

function cloneWords({ name, kept, refused }: CloneSighting): string {
  return `two machines use the key of ${name} at once: at ${kept} (kept) and at ${refused} (refused)`;
}

/** Where it listens, as far as that is on the machine that the connection leads to; else the connection's own end. */
function placeOf({ address, path, hello }: Session): string {
  if (path === 'outbound') return address;
  const host = hostOf(address);
  return hello?.addresses.find((each) => hostOf(each) === host) ?? address;
}

function hostOf(address: string): string {
  return address.slice(0, address.lastIndexOf(':'));
}
