/** The tailnet of this machine as its tailscaled tells it, in few types: what finding, listening and trusting need. */

export const tailnetStates = ['NoState', 'NeedsLogin', 'NeedsMachineAuth', 'Stopped', 'Starting', 'Running'] as const;
/** `unknown`: a state that only a newer tailscaled knows. */
export type TailnetState = (typeof tailnetStates)[number] | 'unknown';

/** What holds of a machine of the tailnet, whoever tells of it. */
interface TailnetFacts {
  /** Stable for the life of the machine in its tailnet; the only key. */
  readonly id: string;
  /** Login name of the user whose machine it is; undefined for a tagged one, which belongs to no person. */
  readonly user?: string;
  readonly tags: readonly string[];
  /** IPv4 first, without prefix length. */
  readonly addresses: readonly string[];
  readonly isExpired: boolean;
  /** Of another tailnet, shared into this one or the other way round. */
  readonly isShared: boolean;
}

/** A machine of the tailnet, this one or another. */
export interface TailnetMachine extends TailnetFacts {
  /** As the machine calls itself: not unique, and nobody checked it. */
  readonly hostName: string;
  /** Full name without the final dot; may be empty. */
  readonly dnsName: string;
  readonly os: string;
  /** Connected to the coordination server, by its last word: worth a try, and no more. */
  readonly isOnline: boolean;
  /** An exit node that is no machine of anybody here. */
  readonly isExit: boolean;
}

export interface TailnetStatus {
  readonly version: string;
  readonly state: TailnetState;
  /** No network interface: inbound comes from 127.0.0.1, outbound must be asked for. */
  readonly isUserspace: boolean;
  /** Of this machine; IPv4 first. Empty before it is logged in. */
  readonly addresses: readonly string[];
  readonly self?: TailnetMachine;
  readonly name?: string;
  /** Of DNS names in this tailnet, without dots around it; may be empty. */
  readonly dnsSuffix: string;
  readonly peers: readonly TailnetMachine[];
}

/** Who is at an address, by the word of the local tailscaled: a machine, whoever uses it. */
export interface TailnetIdentity extends TailnetFacts {
  readonly name: string;
  /** Others reach this machine from behind it with its address: the address proves nothing. */
  readonly isRouter: boolean;
  /** What the tailnet's policy lets that machine do to this one: name of the capability, its values. */
  readonly capabilities: ReadonlyMap<string, readonly unknown[]>;
}

/** What is known of the tailnet now. Only `up` may be believed: one that is down goes on listing what it last knew. */
export type TailnetView =
  /** Nobody has looked yet. */
  | { readonly kind: 'unknown' }
  /** No tailscaled can be asked. */
  | { readonly kind: 'absent'; readonly why: string; readonly hint?: string }
  /** It answers, and is not connected: logged out, stopped, starting. */
  | { readonly kind: 'down'; readonly state: TailnetState; readonly why: string; readonly hint?: string }
  | { readonly kind: 'up'; readonly status: TailnetStatus };
