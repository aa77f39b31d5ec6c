/** What replicates, between its wire form and the domain. Signatures and certificates are not checked here. Decoders throw BrokerError `invalid`. */
import { BrokerError, invalid } from '../domain/errors.ts';
import type { GossipNews } from '../domain/gossip-port.ts';
import { isNodeId } from '../domain/ids.ts';
import type { RegistryAnswer, RegistryQuery } from '../domain/messages.ts';
import type { RegistryChange, RegistryEntry } from '../domain/registration.ts';
import type { CertificateChain } from '../domain/trust.ts';
import type * as mesh from '../gen/beckon/v1/mesh.ts';
import * as wire from '../gen/beckon/v1/registry.ts';
import type * as record from '../gen/beckon/v1/record.ts';
import { buffer, bytes, id, list, optionalId, present, required } from './fields.ts';
import { decodeSignedRecord, encodeSignedRecord } from './records.ts';

/** Bytes of a digest, and of the hash that stands for a record. */
const shortHash = 8;
const mostRecords = 10_000;
const mostEntries = 10_000;
/** Buckets that the digest of all is made of. */
export const bucketCount = 256;

export function encodeRegistryChange({ head, records, gone }: RegistryChange): wire.RegistryChange {
  return { head: encodeSignedRecord(head), records: records.map(encodeSignedRecord), gone: Buffer.from(gone.join(''), 'hex') };
}

export function decodeRegistryChange(message: wire.RegistryChange): RegistryChange {
  return {
    head: decodeSignedRecord(required(message.head, 'change.head')),
    records: list(message.records, 'change.records', mostRecords).map(decodeSignedRecord),
    gone: shortHashes(message.gone, 'change.gone'),
  };
}

export function encodeRegistryEntry({ chain, head, departure, revocation }: RegistryEntry): wire.RegistryEntry {
  return {
    chain: chain === undefined ? undefined : { leaf: buffer(chain.leaf), issuer: buffer(chain.issuer) },
    head: optionalRecord(head),
    departure: optionalRecord(departure),
    revocation: optionalRecord(revocation),
  };
}

export function decodeRegistryEntry({ chain, head, departure, revocation }: wire.RegistryEntry): RegistryEntry {
  return present({
    chain: chain === undefined ? undefined : chainOf(chain),
    head: head === undefined ? undefined : decodeSignedRecord(head),
    departure: departure === undefined ? undefined : decodeSignedRecord(departure),
    revocation: revocation === undefined ? undefined : decodeSignedRecord(revocation),
  });
}

type QueryCase = NonNullable<mesh.Query['query']>;
type AnswerCase = NonNullable<mesh.Answer['answer']>;
export type RegistryQueryCase = Extract<QueryCase, { $case: 'registryDigest' | 'registryEntries' | 'registryRecords' }>;
export type RegistryAnswerCase = Extract<AnswerCase, { $case: 'registryDigest' | 'registryEntries' | 'registryRecords' }>;

export function encodeRegistryQuery(query: RegistryQuery): RegistryQueryCase {
  switch (query.type) {
    case 'registry_digest':
      return { $case: 'registryDigest', value: { root: Buffer.from(query.root, 'hex') } };
    case 'registry_entries':
      return { $case: 'registryEntries', value: { buckets: [...query.buckets], after: query.after ?? '' } };
    case 'registry_records':
      return { $case: 'registryRecords', value: { nodeId: query.nodeId, have: Buffer.from(query.have.join(''), 'hex') } };
  }
}

export function decodeRegistryQuery(query: RegistryQueryCase): RegistryQuery {
  switch (query.$case) {
    case 'registryDigest':
      return { type: 'registry_digest', root: shortHashOf(query.value.root, 'registry_digest.root') };
    case 'registryEntries': {
      const buckets = list(query.value.buckets, 'registry_entries.buckets', bucketCount);
      if (buckets.some((each) => each >= bucketCount)) throw invalid(`registry_entries.buckets: there are ${bucketCount}`);
      return { type: 'registry_entries', buckets, ...present({ after: optionalId(isNodeId, query.value.after, 'registry_entries.after') }) };
    }
    case 'registryRecords':
      return { type: 'registry_records', nodeId: id(isNodeId, query.value.nodeId, 'registry_records.node_id'), have: shortHashes(query.value.have, 'registry_records.have') };
  }
}

export function encodeRegistryAnswer(answer: RegistryAnswer): RegistryAnswerCase {
  switch (answer.type) {
    case 'registry_digest':
      return { $case: 'registryDigest', value: { root: Buffer.from(answer.root, 'hex'), buckets: Buffer.from((answer.buckets ?? []).join(''), 'hex') } };
    case 'registry_entries':
      return { $case: 'registryEntries', value: { entries: answer.entries.map(encodeRegistryEntry), next: answer.next ?? '' } };
    case 'registry_records':
      return { $case: 'registryRecords', value: { change: answer.change === undefined ? undefined : encodeRegistryChange(answer.change), more: answer.more } };
  }
}

export function decodeRegistryAnswer(answer: RegistryAnswerCase): RegistryAnswer {
  switch (answer.$case) {
    case 'registryDigest': {
      const buckets = shortHashes(answer.value.buckets, 'registry_digest.buckets');
      if (buckets.length > 0 && buckets.length !== bucketCount) throw invalid(`registry_digest.buckets: ${buckets.length}, not ${bucketCount}`);
      return { type: 'registry_digest', root: shortHashOf(answer.value.root, 'registry_digest.root'), ...(buckets.length === 0 ? {} : { buckets }) };
    }
    case 'registryEntries':
      return {
        type: 'registry_entries',
        entries: list(answer.value.entries, 'registry_entries.entries', mostEntries).map(decodeRegistryEntry),
        ...present({ next: optionalId(isNodeId, answer.value.next, 'registry_entries.next') }),
      };
    case 'registryRecords': {
      const { change, more } = answer.value;
      return { type: 'registry_records', more, ...present({ change: change === undefined ? undefined : decodeRegistryChange(change) }) };
    }
  }
}

export function encodeGossip(news: GossipNews): Uint8Array {
  return wire.Gossip.encode({ news: gossipCase(news) }).finish();
}

/** Undefined for what only a newer version knows. */
export function decodeGossip(payload: Uint8Array): GossipNews | undefined {
  const news = parsed(payload).news;
  switch (news?.$case) {
    case 'change':
      return { type: 'registry_change', change: decodeRegistryChange(news.value) };
    case 'entry':
      return { type: 'registry_entry', entry: decodeRegistryEntry(news.value) };
    case 'presence':
      return { type: 'presence', presence: decodeSignedRecord(news.value) };
    case undefined:
      return undefined;
  }
}

function gossipCase(news: GossipNews): wire.Gossip['news'] {
  switch (news.type) {
    case 'registry_change':
      return { $case: 'change', value: encodeRegistryChange(news.change) };
    case 'registry_entry':
      return { $case: 'entry', value: encodeRegistryEntry(news.entry) };
    case 'presence':
      return { $case: 'presence', value: encodeSignedRecord(news.presence) };
  }
}

function parsed(payload: Uint8Array): wire.Gossip {
  try {
    return wire.Gossip.decode(payload);
  } catch (error) {
    throw new BrokerError('invalid', 'a gossip message is malformed', { cause: error });
  }
}

function chainOf({ leaf, issuer }: record.CertificateChain): CertificateChain {
  return { leaf: bytes(leaf), issuer: bytes(issuer) };
}

function optionalRecord(given: RegistryEntry['head']): record.SignedRecord | undefined {
  return given === undefined ? undefined : encodeSignedRecord(given);
}

function shortHashOf(given: Uint8Array, what: string): string {
  if (given.length !== shortHash) throw invalid(`${what}: ${given.length} bytes, not ${shortHash}`);
  return Buffer.from(given).toString('hex');
}

function shortHashes(given: Uint8Array, what: string): string[] {
  if (given.length % shortHash !== 0 || given.length > mostRecords * shortHash) throw invalid(`${what}: ${given.length} bytes are no list of hashes`);
  const hex = Buffer.from(given).toString('hex');
  return Array.from({ length: given.length / shortHash }, (_, index) => hex.slice(index * 2 * shortHash, (index + 1) * 2 * shortHash));
}
