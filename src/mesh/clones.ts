/**
 * Nodes whose key two machines were seen to use at once: what is said of it, once a node, and for how long it is remembered. By node
 * alone: the addresses are the peer's own words, or another port with every connection.
 */
import type { CloneSighting, PeerView } from '../domain/mesh-port.ts';
import type { NodeId } from '../domain/ids.ts';
import { peerFields } from '../domain/log-fields.ts';
import { OnceAnHour } from '../domain/once-an-hour.ts';
import type { Clock, Log } from '../domain/ports.ts';
import type { Session } from './session.ts';

/** After the last time that a second one tried. */
const rememberedMs = 3_600_000;
const mostRemembered = 100;

export interface ClonesParts {
  readonly clock: Clock;
  readonly log: Log;
  /** Called once for each node while it is remembered, and once an hour at most. */
  readonly onSeen: (sighting: CloneSighting) => void;
}

export class Clones {
  readonly #parts: ClonesParts;
  /** The last of each node. */
  readonly #seen = new Map<NodeId, CloneSighting>();
  readonly #told: OnceAnHour;

  constructor(parts: ClonesParts) {
    this.#parts = parts;
    this.#told = new OnceAnHour(parts.clock);
  }

  /** Both are alive. @returns the words for both of them */
  seen(kept: Session, refused: Session): string {
    const { clock, log, onSeen } = this.#parts;
    this.#forget();
    const { nodeId, name } = kept.peer;
    const [keptAt, refusedAt] = [placeOf(kept), placeOf(refused)];
    const before = this.#seen.get(nodeId);
    const sighting = { nodeId, name, kept: keptAt, refused: refusedAt, firstMs: before?.firstMs ?? clock.now(), lastMs: clock.now() };
    this.#seen.set(nodeId, sighting);
    const words = cloneWords(sighting);
    if (before === undefined && this.#told.counts(nodeId)) {
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
    this.#forget();
    const sighting = this.#seen.get(peer.nodeId);
    return sighting === undefined ? peer : { ...peer, why: `${peer.why}; ${cloneWords(sighting)}` };
  }

  #forget(): void {
    const now = this.#parts.clock.now();
    for (const [nodeId, { lastMs }] of this.#seen) if (now - lastMs > rememberedMs || this.#seen.size > mostRemembered) this.#seen.delete(nodeId);
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
