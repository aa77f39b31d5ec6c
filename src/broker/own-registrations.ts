/** What this node tells of its own agents: signed, and durable here before anybody hears of it. */
import type { CancelTimer, Clock, Log, RecordSeal } from '../domain/ports.ts';
import type { Registration, RegistryHead } from '../domain/registration.ts';
import { longestRecord, mostRecords, rootHash, shortOf, supersedes } from '../domain/registry-set.ts';
import type { KnownHead } from '../domain/registry-set.ts';
import type { Store, StoredRegistration } from '../domain/store-port.ts';
import { toldWhy } from '../domain/told-why.ts';
import type { Chronicler } from './chronicler.ts';
import type { RegistrySpread } from './registry-spread.ts';
import type { RegistryState } from './registry-state.ts';
import type { Self } from './self.ts';

/** A store that could not take it is asked again. */
const againMs = 5_000;
const addressLimit = 16;

export interface OwnRegistrationsParts {
  readonly store: Store;
  readonly self: Self;
  readonly seal: RecordSeal;
  readonly chronicler: Chronicler;
  readonly clock: Clock;
  readonly log: Log;
  readonly state: RegistryState;
  readonly spread: RegistrySpread;
  readonly ownAddresses: () => readonly string[];
  readonly gossipAddresses: () => readonly string[];
}

export class OwnRegistrations {
  readonly #parts: OwnRegistrationsParts;
  #working: Promise<void> = Promise.resolve();
  #isDirty = false;
  #isStarted = false;
  #cancelRetry: CancelTimer | undefined;
  /** The newest head of this node that others hold, when that is not its own. */
  #foreign: KnownHead | undefined;
  /** What was said to be too large or too many, so that it is said once. */
  readonly #warned = new Set<string>();

  constructor(parts: OwnRegistrationsParts) {
    this.#parts = parts;
  }

  /** From now on its changes are told. A node that only lends its store to a command tells nothing. */
  start(): void {
    this.#isStarted = true;
  }

  async stop(): Promise<void> {
    this.#isStarted = false;
    this.#cancelRetry?.();
    await this.#working;
  }

  /** Own agents, addresses or the mesh have changed, or may have. Changes that come while one is stored share the next. */
  changed(): void {
    if (!this.#isStarted || this.#isDirty) return;
    this.#isDirty = true;
    this.#working = this.#working.then(() => this.#flush());
  }

  /** Resolves when what was changed until now is stored and told. */
  settled(): Promise<void> {
    return this.#working;
  }

  /** Whether others would take that head of this node rather than its own. */
  isBehind(claimed: KnownHead): boolean {
    const own = this.#parts.state.head(this.#parts.self.nodeId);
    return own?.hash !== claimed.hash && supersedes(claimed, own) && supersedes(claimed, this.#foreign);
  }

  /**
   * Others hold a head that this node signed and does not know: its store was put back, or its clock. What it has is the
   * truth, so its next head goes above theirs.
   */
  async raise(claimed: KnownHead): Promise<void> {
    this.#foreign = claimed;
    this.changed();
    await this.#working;
  }

  async #flush(): Promise<void> {
    const { log, clock } = this.#parts;
    this.#isDirty = false;
    try {
      await this.#tell();
    } catch (error) {
      log.error({ err: error }, 'what this node has to tell of its agents could not be stored; it is tried again');
      this.#cancelRetry?.();
      this.#cancelRetry = clock.setTimer(againMs, () => this.changed());
    }
  }

  async #tell(): Promise<void> {
    const { store, self, state, seal, clock, spread, log, chronicler } = this.#parts;
    if (self.mesh() === undefined || !this.#isStarted) return;
    const known = state.head(self.nodeId);
    const have = state.index.ofNode(self.nodeId);
    const same = new Map([...have.values()].map((each) => [keyOf(each.registration), each.hash]));
    const hashes: string[] = [];
    const added: StoredRegistration[] = [];
    for (const registration of this.#told()) {
      const hash = same.get(keyOf(registration));
      if (hash !== undefined) {
        hashes.push(hash);
        continue;
      }
      const record = seal.sealRegistration(registration);
      if (record.payload.length > longestRecord) {
        this.#warn(registration.address, `${registration.address} is described in ${record.payload.length} bytes, more than ${longestRecord}: no other node is told of it`);
        continue;
      }
      const fresh: StoredRegistration = { registration, record, hash: seal.hash(record.payload) };
      hashes.push(fresh.hash);
      added.push(fresh);
    }
    const root = rootHash(hashes, (content) => seal.hash(content));
    const [addresses, gossipAddresses] = [this.#parts.ownAddresses().slice(0, addressLimit), this.#parts.gossipAddresses().slice(0, addressLimit)];
    const foreign = this.#foreign;
    const isRaised = foreign !== undefined && supersedes(foreign, known);
    const isSame = known !== undefined && known.head.rootHash === root && String(known.head.addresses) === String(addresses) && String(known.head.gossipAddresses) === String(gossipAddresses);
    if (isSame && !isRaised) return;
    const next = isRaised ? { epoch: Math.max(self.epoch, foreign.head.epoch + 1), version: 1 } : following(known?.head, self.epoch, clock.now());
    const head: RegistryHead = { nodeId: self.nodeId, ...next, count: hashes.length, rootHash: root, addresses, gossipAddresses };
    const signed = seal.sealHead(head);
    const kept = new Set(hashes);
    const gone = [...have.keys()].filter((hash) => !kept.has(hash));
    const base = known === undefined ? undefined : { epoch: known.head.epoch, version: known.head.version };
    if (isRaised) {
      const detail = { epoch: String(next.epoch), seen: String(foreign.head.epoch) };
      await store.write.note({ stamp: chronicler.stamp(), what: 'registry.raised', detail });
      log.warn({ epoch: next.epoch, seen: foreign.head.epoch }, 'others hold a newer list of this node’s agents than it has told them: its store, or its clock, was put back; what it has now counts');
    }
    const isSaved = await store.write.saveRegistry({ head, signedHead: signed, base, records: added, gone, atMs: clock.now() });
    // The mesh was left or entered meanwhile: what follows from that comes by itself.
    if (!isSaved) return;
    state.applied({ head, signed, hash: seal.hash(signed.payload) }, added, gone);
    if (isRaised) this.#foreign = undefined;
    spread.tell({ type: 'registry_change', change: { head: signed, records: added.map(({ record }) => record), gone: gone.map(shortOf) } });
  }

  /** In the order of addresses, so that what is left out is the same each time. */
  #told(): Registration[] {
    const told = this.#parts.store.read.ownRegistrations().filter((each) => each.visibility === 'mesh');
    if (told.length > mostRecords) this.#warn('', `this node has ${told.length} agents, and other nodes are told of ${mostRecords}`);
    return told.slice(0, mostRecords).map((each) => (each.unavailableWhy === undefined ? each : { ...each, unavailableWhy: toldWhy(each.unavailableWhy) }));
  }

  #warn(what: string, message: string): void {
    if (this.#warned.has(what)) return;
    this.#warned.add(what);
    this.#parts.log.warn({}, message);
  }
}

/** The first in a mesh comes after all that this boot told before, in this mesh or in another. */
function following(known: RegistryHead | undefined, epoch: number, nowMs: number): { readonly epoch: number; readonly version: number } {
  if (known === undefined) return { epoch: Math.max(epoch, Math.trunc(nowMs)), version: 1 };
  return known.epoch < epoch ? { epoch, version: 1 } : { epoch: known.epoch, version: known.version + 1 };
}

/** Equal for registrations that say the same. */
function keyOf(registration: Registration): string {
  const { address, nodeId, harness, capabilities, labels, visibility, description, isDefault, available, unavailableWhy } = registration;
  const sorted = Object.entries(labels).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return JSON.stringify([address, nodeId, harness, capabilities, sorted, visibility, description, isDefault, available, unavailableWhy]);
}
