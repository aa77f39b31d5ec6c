/** What resolution works on: the instances that are known, what is asked, and who asks. */
import type { Address } from './address.ts';
import type { BrokerError } from './errors.ts';
import type { PeerState } from './peer.ts';

/** An instance that some node has registered. */
export interface Candidate {
  /** Canonical. */
  readonly address: string;
  readonly agent: string;
  readonly nodeName: string;
  /** False when another node holds this name by an earlier certificate: this one is addressable by id only. */
  readonly nodeNameOwned: boolean;
  readonly nodeId: string;
  readonly workspace: string;
  /** Owner identity of the node. */
  readonly owner: string;
  readonly harness: string;
  readonly capabilities: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
  /** Its workspace is the default one of its agent definition. */
  readonly isDefault: boolean;
  readonly available: boolean;
  readonly unavailableWhy?: string;
  readonly nodeState: 'here' | PeerState;
  /** When its node was last heard of, ms since 1970. */
  readonly lastSeenMs: number;
  /** Flights running and queued there, when known. */
  readonly busy?: number;
  readonly rttMs?: number;
}

export interface ResolveQuery {
  readonly address: Address;
  /** Search the nodes of all owner identities when the address names no node. */
  readonly anyOwner?: boolean;
  /** Of several choose one: live, here, least busy, lowest round trip. */
  readonly any?: boolean;
  /** Choose all of several. */
  readonly all?: boolean;
  readonly harness?: string;
  /** All of these must be there. */
  readonly capabilities?: readonly string[];
  /** All of these must be equal. */
  readonly labels?: Readonly<Record<string, string>>;
}

export interface Here {
  readonly nodeId: string;
  readonly owner: string;
  readonly nowMs: number;
}

export interface Explained {
  readonly address: string;
  readonly chosen: boolean;
  readonly why: string;
}

export type Resolution =
  | { readonly ok: true; readonly targets: readonly Candidate[]; readonly explained: readonly Explained[] }
  | { readonly ok: false; readonly error: BrokerError; readonly explained: readonly Explained[] };

/** A candidate of the right agent that the rules leave out, and by which rule. */
export interface PassedOver {
  readonly candidate: Candidate;
  readonly rule: 'name_not_owned' | 'other_node' | 'other_workspace' | 'gone' | 'other_owner' | 'unseen' | 'filter' | 'further_out';
  readonly why: string;
}
