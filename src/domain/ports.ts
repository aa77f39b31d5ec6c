/** What the core needs of the world: time, ids, a log. The adapters of the other ports are named in store-port.ts, mesh-port.ts and harness-port.ts. */
import type { Departure } from './departure.ts';
import type { NodeId, Ulid } from './ids.ts';
import type { LogFields } from './log-fields.ts';
import type { Presence } from './presence.ts';
import type { Registration, RegistryHead, SignedRecord } from './registration.ts';
import type { Revocation } from './revocation.ts';
import type { CertificateChain } from './trust.ts';

/** Undoes a timer; a second call does nothing. */
export type CancelTimer = () => void;

export interface Clock {
  /** Wall clock, ms since 1970. May jump. */
  now(): number;
  /** Never goes back, ms from an arbitrary start; does not count while the machine sleeps or does, as the platform has it. */
  monotonic(): number;
  /** Calls `fn` once after `ms`. A timer never keeps the process alive by itself. */
  setTimer(ms: number, fn: () => void): CancelTimer;
}

/** Monotonic ULIDs: within one process each is greater than the one before. */
export interface UlidSource {
  next(): Ulid;
}

/** Uniform in [0, 1). */
export type Random = () => number;

/** One event a line. Never a task, an output, a token or a key: the message is Beckon's own words, the fields are a closed list. */
export interface Log {
  debug(fields: LogFields, message: string): void;
  info(fields: LogFields, message: string): void;
  warn(fields: LogFields, message: string): void;
  error(fields: LogFields, message: string): void;
}

/** Lower-case hex sha256 of the parts, each preceded by its length, so that no two lists of parts are alike. */
export type Digest = (parts: readonly (Uint8Array | string)[]) => string;

/** A part of the node with a life: both are idempotent; `stop` ends all that `start` began before it resolves. */
export interface Startable {
  start(): Promise<void>;
  stop(): Promise<void>;
}

/** Wire form and signatures of replicated records. The signature covers a domain string, the mesh id and the payload. */
export interface RecordSeal {
  sealRegistration(registration: Registration): SignedRecord;
  sealHead(head: RegistryHead): SignedRecord;
  /** @throws BrokerError `unauthenticated` for a wrong signature, `invalid` for a malformed payload */
  openRegistration(record: SignedRecord, owner: NodeId): Registration;
  /** By the key that its node's id is made of. */
  openHead(record: SignedRecord): RegistryHead;
  /** What it says, whoever signed it. @throws BrokerError `invalid` */
  readHead(record: SignedRecord): RegistryHead;
  sealDeparture(departure: Departure): SignedRecord;
  /** @param keyOf the key of the node that it names; undefined when that is not known, which is `unauthenticated` too */
  openDeparture(record: SignedRecord, keyOf: (nodeId: NodeId) => Uint8Array | undefined): Departure;
  sealPresence(presence: Presence): SignedRecord;
  /** By the key that its node's id is made of. @throws as `openRegistration` */
  openPresence(record: SignedRecord): Presence;
  /** What it says, whoever signed it. @throws BrokerError `invalid` */
  readPresence(record: SignedRecord): Presence;
  /** Lower-case hex sha256. */
  hash(content: Uint8Array | string): string;
}

/** Revocations in their wire form, signed by an issuer's key over a domain string, the mesh id and the payload. */
export interface RevocationSeal {
  /** @returns undefined on a node that is no issuer. @throws BrokerError when others would not believe it (a clock that is years off) */
  seal(revocation: Omit<Revocation, 'issuer'>): SignedRecord | undefined;
  /** @throws BrokerError `unauthenticated` for what no issuer of this mesh signed, `invalid` for a malformed payload */
  open(record: SignedRecord): Revocation;
  /** Whom it names, whoever signed it. @throws BrokerError `invalid` for a malformed payload */
  nodeIn(record: SignedRecord): NodeId;
  /** Whether the issuer of that certificate signed this chain. */
  isBy(chain: CertificateChain, issuer: Uint8Array): boolean;
  /** Who its node is by that certificate (id, owner, name, and since when it has that name), as a digest: the same for each renewed one. */
  whoIs(chain: CertificateChain): string;
  /** Whether others would believe now that this is an issuer's certificate. */
  isIssuer(certificate: Uint8Array): boolean;
  /** Of that issuer's certificate: lower-case hex. @throws BrokerError `invalid` */
  keyOf(issuer: Uint8Array): string;
}

/** What is known of a project from its directory. */
export interface ProjectProbe {
  /** The absolute directory, links resolved. @throws BrokerError `invalid` when it is none */
  directory(path: string): Promise<string>;
  /** The git branch checked out there, or undefined when detached or no git. */
  branch(directory: string): Promise<string | undefined>;
}
