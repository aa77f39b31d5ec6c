/**
 * Which roots count and which issuers do not, as every node comes to know it: told at the start of each link and when it changes, and in the
 * heads of issuers, which nodes pass on that know nothing of it. Each part proves itself: who passed it on is nobody's proof.
 */
import type { Act, AuditWhat } from '../domain/audit.ts';
import { BrokerError, toBrokerError } from '../domain/errors.ts';
import type { EventKind } from '../domain/event.ts';
import type { NodeId } from '../domain/ids.ts';
import type { Link, Mesh } from '../domain/mesh-port.ts';
import type { Clock, Log } from '../domain/ports.ts';
import type { Member, Store } from '../domain/store-port.ts';
import type { WithdrawnIssuer } from '../domain/trust.ts';
import { actOfPeer } from './acts.ts';
import type { Chronicler } from './chronicler.ts';
import { InTurn } from './in-turn.ts';
import type { Self } from './self.ts';

/** So long nothing more is heard of a member that said what proves nothing. */
const refusedMs = 10_000;

export interface AuthorityPorts {
  /** What is known and what came, as far as it proves itself; undefined when nothing is new. @throws BrokerError `unauthenticated`, `invalid`, `overload` */
  readonly mergeAuthorities: (received: Uint8Array) => Uint8Array | undefined;
  /** By what is stored, or by that. */
  readonly withdrawnIssuers: (authorities?: Uint8Array) => readonly WithdrawnIssuer[];
  /** Fingerprints of the roots that count, by what is stored, or by that. */
  readonly trustedRoots: (authorities?: Uint8Array) => readonly string[];
  /** The name of the issuer that this node is by its certificate; undefined when it is none. */
  readonly issuesAs: () => string | undefined;
  /** This node is to speak and to judge by what is stored now. With `ceased` its key to issue with is to be forgotten. */
  readonly onAuthorities: (ceased: boolean) => Promise<void>;
}

export interface AuthoritiesParts extends AuthorityPorts {
  readonly store: Store;
  readonly self: Self;
  readonly chronicler: Chronicler;
  readonly mesh: () => Mesh;
  readonly clock: Clock;
  readonly log: Log;
  /** What all members are judged by has changed: the registry and the network are to look at each again. */
  readonly onMembers: (members: readonly Member[]) => void;
  /** What this node says in its head has changed. */
  readonly onTold: () => void;
  /** Members that a root does not vouch for any more are cut off, and those that no other issuer signed are to be renewed. */
  readonly onChanged: () => void;
}

export interface AuthorityFact {
  readonly what: EventKind;
  readonly detail?: Readonly<Record<string, string>>;
  /** Whose wish it is; left out for what others told. */
  readonly act?: Act;
}

export class Authorities {
  readonly #parts: AuthoritiesParts;
  /** One after the other: what one adds the next has to see. */
  readonly #turns = new InTurn();
  /** Members that said what proves nothing, and when. */
  readonly #refused = new Map<NodeId, number>();

  constructor(parts: AuthoritiesParts) {
    this.#parts = parts;
  }

  /** As it travels; undefined while there is only the first root. */
  get told(): Uint8Array | undefined {
    return this.#parts.store.read.membership()?.authorities;
  }

  linkUp(link: Link): void {
    const { told } = this;
    if (told !== undefined) link.send({ type: 'roster', members: [], authorities: told });
  }

  /** Never rejects: what proves nothing changes nothing. */
  async heard(bytes: Uint8Array, from: NodeId): Promise<void> {
    const { told } = this;
    const { clock } = this.#parts;
    if (told !== undefined && isSame(told, bytes)) return;
    // To judge it takes milliseconds, and it comes for nothing.
    if (clock.monotonic() - (this.#refused.get(from) ?? Number.NEGATIVE_INFINITY) < refusedMs) return;
    try {
      await this.add(bytes, { what: 'root.learned' }, from);
    } catch (error) {
      this.#refused.set(from, clock.monotonic());
      this.#parts.log.warn({ peerId: from, why: toBrokerError(error).message }, 'what a node says of the roots of the mesh was not believed');
    }
  }

  /**
   * Resolves when it is durable, counts here, and was told on. @returns whether it was news
   * @throws BrokerError `unauthenticated`, `invalid`, `overload`: nothing is changed then
   */
  add(bytes: Uint8Array, fact: AuthorityFact, from?: NodeId): Promise<boolean> {
    return this.#turns.run(() => this.#add(bytes, fact, from));
  }

  async settled(): Promise<void> {
    await this.#turns.settled();
  }

  async #add(bytes: Uint8Array, { what, detail, act }: AuthorityFact, from: NodeId | undefined): Promise<boolean> {
    const { store, self, chronicler, mergeAuthorities, withdrawnIssuers, trustedRoots, issuesAs, onAuthorities, onMembers, mesh, onTold, onChanged, log } = this.#parts;
    if (store.read.membership() === undefined) throw new BrokerError('conflict', 'this node is in no mesh');
    const merged = mergeAuthorities(bytes);
    if (merged === undefined) return false;
    const before = new Set(withdrawnIssuers().map(({ certifies }) => certifies));
    const fresh = withdrawnIssuers(merged).filter(({ certifies }) => !before.has(certifies));
    const names = fresh.map(({ name }) => name).join(', ');
    const told = fresh.length === 0 ? { what, ...(detail === undefined ? {} : { detail }) } : ({ what: 'issuer.removed', detail: { name: names, by: fresh[0]?.by ?? '' } } as const);
    const [roots, was] = [trustedRoots(merged).join(' '), trustedRoots().join(' ')];
    const audit: AuditWhat[] = [
      ...fresh.map(({ nodeId, name, by }): AuditWhat => ({ kind: 'issuer.removed', about: { nodeId, name, by } })),
      ...(roots === was ? [] : [{ kind: 'root.changed', about: { root: roots, was } } as const]),
    ];
    const link = from === undefined ? undefined : mesh().link(from);
    const by = act ?? (link === undefined ? undefined : actOfPeer(link));
    await store.write.saveAuthorities({ stamp: chronicler.stamp(), act: by, authorities: merged, ...told, audit, noIssuers: fresh.map(({ nodeId }) => nodeId) });
    for (const { name, by } of fresh) log.warn({ name, by }, `${name} lets nobody into the mesh any more`);
    const ceased = fresh.some(({ nodeId, certifies }) => nodeId === self.nodeId && certifies === issuesAs());
    if (ceased) await store.write.ceaseIssuing({ stamp: chronicler.stamp() });
    await onAuthorities(ceased);
    onMembers(store.read.members().filter((each) => each.nodeId !== self.nodeId));
    for (const link of mesh().links()) if (link.peer.nodeId !== from) link.send({ type: 'roster', members: [], authorities: merged });
    onTold();
    onChanged();
    return true;
  }
}

function isSame(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, index) => byte === b[index]);
}
