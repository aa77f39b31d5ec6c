/**
 * Identifiers. A record's id is a prefix and a ULID (https://github.com/ulid/spec, upper case); one invocation has
 * exactly one flight and one delivery, and the three share one ULID, so that any of them names all.
 */
import { internal, invalid } from './errors.ts';
import type { BrokerError } from './errors.ts';
import { quoted } from './text.ts';

declare const brand: unique symbol;
type Branded<Name extends string> = string & { readonly [brand]: Name };

export type NodeId = Branded<'NodeId'>;
export type MeshId = Branded<'MeshId'>;
export type Ulid = Branded<'Ulid'>;
export type InvocationId = Branded<'InvocationId'>;
export type FlightId = Branded<'FlightId'>;
export type DeliveryId = Branded<'DeliveryId'>;
export type AttemptId = Branded<'AttemptId'>;
export type EventId = Branded<'EventId'>;
export type AgentId = Branded<'AgentId'>;
export type SessionId = Branded<'SessionId'>;
export type GroupId = Branded<'GroupId'>;

export const idPrefixes = ['inv', 'flt', 'dlv', 'att', 'evt', 'agt', 'req', 'ses', 'grp'] as const;
export type IdPrefix = (typeof idPrefixes)[number];

export type RecordId = InvocationId | FlightId | DeliveryId | AttemptId | EventId | AgentId;

// Crockford base32 has no I, L, O, U; 26 characters hold 130 bits, so the first is at most 7.
const ulidForm = /^[0-7][0-9A-HJKMNP-TV-Z]{25}$/;
const ulidLength = 26;
const shortestSuffix = 4;
const accepted = 'an id such as inv_01J9Z6M3T4V8Q2X7K5B1C0D9EF, the last 4 or more characters of one, or: last';

export function isUlid(text: string): text is Ulid {
  return ulidForm.test(text);
}

function make(prefix: IdPrefix, ulid: string): string {
  if (!isUlid(ulid)) throw internal(`not a ULID: ${quoted(ulid)}`);
  return `${prefix}_${ulid}`;
}

/** Each of these throws `internal` when its argument is not an upper-case ULID. */
export const invocationIdOf = (ulid: string): InvocationId => make('inv', ulid) as InvocationId;
export const flightIdOf = (ulid: string): FlightId => make('flt', ulid) as FlightId;
export const deliveryIdOf = (ulid: string): DeliveryId => make('dlv', ulid) as DeliveryId;
export const attemptIdOf = (ulid: string): AttemptId => make('att', ulid) as AttemptId;
export const eventIdOf = (ulid: string): EventId => make('evt', ulid) as EventId;
/** Of a request that an agent makes of its people. */
export const requestIdOf = (ulid: string): string => make('req', ulid);
/** Of the session that an invocation begins: they share one ULID. */
export const sessionOfInvocation = (id: InvocationId): SessionId => make('ses', ulidOf(id)) as SessionId;
/** Of invocations that were accepted together. */
export const groupIdOf = (ulid: string): GroupId => make('grp', ulid) as GroupId;
export const agentIdOf = (ulid: string): AgentId => make('agt', ulid) as AgentId;

function hasForm(prefix: IdPrefix, text: string): boolean {
  return text.startsWith(`${prefix}_`) && isUlid(text.slice(prefix.length + 1));
}

export const isInvocationId = (text: string): text is InvocationId => hasForm('inv', text);
export const isFlightId = (text: string): text is FlightId => hasForm('flt', text);
export const isDeliveryId = (text: string): text is DeliveryId => hasForm('dlv', text);
export const isAttemptId = (text: string): text is AttemptId => hasForm('att', text);
export const isEventId = (text: string): text is EventId => hasForm('evt', text);
export const isSessionId = (text: string): text is SessionId => hasForm('ses', text);
export const isGroupId = (text: string): text is GroupId => hasForm('grp', text);
export const isAgentId = (text: string): text is AgentId => hasForm('agt', text);

export function ulidOf(id: RecordId): Ulid {
  const ulid = id.slice(4);
  if (!isUlid(ulid)) throw internal(`not an id: ${quoted(id)}`);
  return ulid;
}

export const flightOfInvocation = (id: InvocationId): FlightId => flightIdOf(ulidOf(id));
export const deliveryOfInvocation = (id: InvocationId): DeliveryId => deliveryIdOf(ulidOf(id));
export const invocationOfFlight = (id: FlightId): InvocationId => invocationIdOf(ulidOf(id));
export const deliveryOfFlight = (id: FlightId): DeliveryId => deliveryIdOf(ulidOf(id));

export type IdArgument =
  | { readonly kind: 'last' }
  | { readonly kind: 'id'; readonly prefix: IdPrefix; readonly ulid: Ulid }
  | { readonly kind: 'suffix'; readonly suffix: string };

/**
 * What a person typed where a command wants an id: `last`, a whole id, or a suffix of its ULID (4 to 26 characters, in
 * upper case afterwards). Case does not matter; I and L are read as 1, O as 0, as Crockford's base32 asks.
 * @throws BrokerError `invalid`, naming what is accepted.
 */
export function parseIdArgument(text: string): IdArgument {
  if (text.toLowerCase() === 'last') return { kind: 'last' };
  const underscore = text.indexOf('_');
  const body = crockford(underscore < 0 ? text : text.slice(underscore + 1));
  if (underscore >= 0) {
    const prefix = idPrefixes.find((each) => each === text.slice(0, underscore).toLowerCase());
    if (prefix === undefined) throw badId(text, `an id starts with one of ${idPrefixes.map((p) => `${p}_`).join(' ')}`);
    if (!isUlid(body)) throw badId(text, `${prefix}_ must be followed by all ${ulidLength} characters of the id`);
    return { kind: 'id', prefix, ulid: body };
  }
  if (!/^[0-9A-HJKMNP-TV-Z]*$/.test(body)) throw badId(text, 'an id has only digits and letters without U');
  if (body.length < shortestSuffix) throw badId(text, `${shortestSuffix} characters at least`);
  if (body.length > ulidLength) throw badId(text, `${ulidLength} characters at most`);
  return { kind: 'suffix', suffix: body };
}

/** As a person may have typed it: case does not matter, I and L are read as 1, O as 0. */
export function crockford(text: string): string {
  return text.toUpperCase().replace(/[IL]/g, '1').replace(/O/g, '0');
}

function badId(text: string, why: string): BrokerError {
  return invalid(`${quoted(text)} is not an id: ${why}`, `give ${accepted}`);
}

// A node id is the base36 CIDv1 of an Ed25519 key: CID version 1, codec libp2p-key 0x72, identity multihash of 36
// bytes, which are the protobuf header 08 01 12 20 and the key itself. Source: libp2p specs, peer-ids.
const cidHeader = 0x01_72_00_24_08_01_12_20n;
const lowestNodeId = base36Cid(cidHeader << 256n);
const highestNodeId = base36Cid(((cidHeader + 1n) << 256n) - 1n);

function base36Cid(value: bigint): string {
  return `k${value.toString(36)}`;
}

/** True for the printed form (62 characters, lower case) of an Ed25519 PeerId, and for nothing else. */
export function isNodeId(text: string): text is NodeId {
  // Equal length and ASCII order make string order numeric order.
  return text.length === lowestNodeId.length && /^k[0-9a-z]+$/.test(text) && text >= lowestNodeId && text <= highestNodeId;
}

/** The node id of a raw 32-byte Ed25519 public key. */
export function nodeIdOfPublicKey(publicKey: Uint8Array): NodeId {
  if (publicKey.length !== 32) throw internal(`an Ed25519 public key has 32 bytes, not ${publicKey.length}`);
  let value = cidHeader;
  for (const byte of publicKey) value = (value << 8n) | BigInt(byte);
  return base36Cid(value) as NodeId;
}

/** The raw 32-byte Ed25519 public key that a node id is made of. */
export function publicKeyOfNodeId(nodeId: NodeId): Uint8Array {
  let value = 0n;
  for (const digit of nodeId.slice(1)) value = value * 36n + BigInt(Number.parseInt(digit, 36));
  return Uint8Array.from({ length: 32 }, (_, index) => Number((value >> BigInt(8 * (31 - index))) & 0xffn));
}

/** @throws BrokerError `invalid` */
export function asNodeId(text: string): NodeId {
  if (isNodeId(text)) return text;
  throw invalid(`${quoted(text, 70)} is not a node id`, 'a node id starts with k51 and has 62 characters');
}

/** A mesh id is made by trust; here it only must be safe in a URI and a file name. @throws BrokerError `invalid` */
export function asMeshId(text: string): MeshId {
  if (/^[A-Za-z0-9][A-Za-z0-9_-]{0,127}$/.test(text)) return text as MeshId;
  throw invalid(`${quoted(text, 70)} is not a mesh id`);
}
