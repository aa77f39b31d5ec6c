/** The replicated projection of an agent instance, and the signed form in which nodes pass it on. */
import { invalid } from './errors.ts';
import type { NodeId } from './ids.ts';
import { neutralise, quoted } from './text.ts';
import type { CertificateChain } from './trust.ts';

export const visibilities = ['mesh', 'node'] as const;
export type Visibility = (typeof visibilities)[number];

/** Never holds cwd, argv, environment or session. */
export interface Registration {
  readonly address: string;
  readonly nodeId: NodeId;
  readonly harness: string;
  readonly capabilities: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
  readonly visibility: Visibility;
  readonly description: string;
  /** The instance that an address without workspace means. */
  readonly isDefault: boolean;
  readonly available: boolean;
  readonly unavailableWhy?: string;
}

/** Of labels, capabilities and description together, in UTF-8: what is told of an agent is carried to every node, and stays there. */
export const mostDescribedBytes = 8 * 1024;

/** @throws BrokerError `invalid` when it is described at more length than is carried, or by what would drive a terminal or read as something else there */
export function checkDescribed({ labels, capabilities, description }: Pick<Registration, 'labels' | 'capabilities' | 'description'>): void {
  const words = [...Object.entries(labels).flat(), ...capabilities, description];
  const wrong = words.find((each) => /[\t\n]/.test(each) || neutralise(each) !== each);
  if (wrong !== undefined) throw invalid(`${quoted(wrong)} has a control character, or one that turns text around: labels, capabilities and the description are one line of text each`);
  const bytes = new TextEncoder().encode(words.join(' ')).length;
  if (bytes > mostDescribedBytes) throw invalid(`its labels, capabilities and description have ${bytes} bytes, more than ${mostDescribedBytes}`, 'other nodes are told of them: put long texts into files of the project');
}

/** Payload bytes exactly as the owner signed them; stored and passed on verbatim. */
export interface SignedRecord {
  readonly payload: Uint8Array;
  readonly signature: Uint8Array;
}

/** What an owner says its whole set of records is. Newer by epoch, then version. */
export interface RegistryHead {
  readonly nodeId: NodeId;
  readonly epoch: number;
  readonly version: number;
  readonly count: number;
  /** Lower-case hex sha256 over the sorted sha256 of the records' payloads. */
  readonly rootHash: string;
  /** Where the node listens for sessions and for gossip, host:port. */
  readonly addresses: readonly string[];
  readonly gossipAddresses: readonly string[];
  /** Of a node that lets others in: as in `Roster`. */
  readonly authorities?: Uint8Array;
}

/** An owner's set as it is now, told as a difference: what the receiver has, without `gone` and with `records`, is the set that the head names, or the receiver had another one before. */
export interface RegistryChange {
  readonly head: SignedRecord;
  readonly records: readonly SignedRecord[];
  /** Lower-case hex of the first 8 bytes of the sha256 of each payload that is no longer in the set. */
  readonly gone: readonly string[];
}

/** All that is known of one node besides its records; each part proves itself. */
export interface RegistryEntry {
  readonly chain?: CertificateChain;
  readonly head?: SignedRecord;
  readonly departure?: SignedRecord;
  readonly revocation?: SignedRecord;
}
