/** What this node answers to peers that compare what they know with it. */
import { overload } from '../domain/errors.ts';
import type { Link } from '../domain/mesh-port.ts';
import type { RegistryAnswer, RegistryQuery } from '../domain/messages.ts';
import type { RegistryEntry, SignedRecord } from '../domain/registration.ts';
import { shortOf } from '../domain/registry-set.ts';
import type { Store } from '../domain/store-port.ts';
import type { PeerLimits } from './peer-limits.ts';
import type { RegistryState } from './registry-state.ts';

/** One answer, about, bytes. */
const pageBytes = 256 * 1024;

export interface RegistryAnswersParts {
  readonly store: Store;
  readonly state: RegistryState;
  readonly limits: PeerLimits;
}

export class RegistryAnswers {
  readonly #parts: RegistryAnswersParts;

  constructor(parts: RegistryAnswersParts) {
    this.#parts = parts;
  }

  /** @throws BrokerError `overload` for a peer that asks too much */
  async answer(link: Link, query: RegistryQuery): Promise<RegistryAnswer> {
    if (!this.#parts.limits.take(link.peer.nodeId)) throw overload('too many questions about the registry', 1_000);
    switch (query.type) {
      case 'registry_digest':
        return Promise.resolve(this.#digest(query.root));
      case 'registry_entries':
        return Promise.resolve(this.#entries(query));
      case 'registry_records':
        return Promise.resolve(this.#records(query));
    }
  }

  #digest(asked: string): RegistryAnswer {
    const { digest } = this.#parts.state;
    const { root } = digest;
    return { type: 'registry_digest', root, ...(root === asked ? {} : { buckets: digest.buckets() }) };
  }

  #entries({ buckets, after }: Extract<RegistryQuery, { type: 'registry_entries' }>): RegistryAnswer {
    const { state } = this.#parts;
    const entries: RegistryEntry[] = [];
    let bytes = 0;
    for (const nodeId of state.digest.nodesIn([...new Set(buckets)])) {
      if (after !== undefined && nodeId <= after) continue;
      const known = state.entries(nodeId);
      entries.push(...known);
      bytes += known.reduce((sum, each) => sum + sizeOf(each), 0);
      if (bytes >= pageBytes) return { type: 'registry_entries', entries, next: nodeId };
    }
    return { type: 'registry_entries', entries };
  }

  #records({ nodeId, have }: Extract<RegistryQuery, { type: 'registry_records' }>): RegistryAnswer {
    const { state, store } = this.#parts;
    const head = state.head(nodeId);
    if (head === undefined || state.entry(nodeId)?.head === undefined) return { type: 'registry_records', more: false };
    const set = state.index.ofNode(nodeId);
    const theirs = new Set(have);
    const ours = new Set([...set.keys()].map(shortOf));
    const records: SignedRecord[] = [];
    let [bytes, more] = [0, false];
    for (const hash of set.keys()) {
      if (theirs.has(shortOf(hash))) continue;
      more = bytes >= pageBytes;
      if (more) break;
      const record = store.read.signedRegistration(nodeId, hash);
      if (record === undefined) continue;
      records.push(record);
      bytes += record.payload.length + record.signature.length;
    }
    return { type: 'registry_records', change: { head: head.signed, records, gone: have.filter((each) => !ours.has(each)) }, more };
  }
}

function sizeOf({ chain, head, departure, revocation }: RegistryEntry): number {
  const signed = [head, departure, revocation].reduce((sum, each) => sum + (each === undefined ? 0 : each.payload.length + each.signature.length), 0);
  return signed + (chain === undefined ? 0 : chain.leaf.length + chain.issuer.length);
}
