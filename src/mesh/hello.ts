/** The first frame of each side: version, epoch, boot nonce. */
import { BrokerError, invalid } from '../domain/errors.ts';
import type { Hlc } from '../domain/hlc.ts';
import type { NodeId } from '../domain/ids.ts';
import { parseHostPort } from '../domain/host-port.ts';
import type { SignedRecord } from '../domain/registration.ts';
import { GoodbyeReason } from '../gen/beckon/v1/mesh.ts';
import type * as wire from '../gen/beckon/v1/mesh.ts';
import { clockValue, list, name, optionalWhole, whole } from '../rpc/fields.ts';
import { decodeSignedRecord, encodeSignedRecord } from '../rpc/records.ts';
import { formatProtocol, ownFeatures, protocol, whoIsBehind } from './version.ts';

const mostFeatures = 256;

/** What this node says of itself at the start of each session. */
export interface OwnHello {
  /** Greater at every boot. */
  readonly epoch: number;
  /** What this node's store had before this boot, 0 for nothing. */
  readonly previousEpoch: number;
  /** Of a peer, as far as this node remembers. */
  readonly seenEpochs: (nodeId: NodeId) => readonly number[];
  /** 16 random bytes a boot. */
  readonly bootNonce: Uint8Array;
  readonly version: string;
  /** host:port of each listener. */
  readonly addresses: () => readonly string[];
  readonly hlc: () => Hlc;
}

export interface PeerHello {
  readonly version: string;
  /** What it understands besides what its minor version promises. Names that this version lacks are in it too. */
  readonly features: ReadonlySet<string>;
  readonly epoch: number;
  /** Undefined from a version that does not say. */
  readonly previousEpoch: number | undefined;
  /** Epochs of this node that the peer saw. */
  readonly seenEpochs: readonly number[];
  /** Hexadecimal. */
  readonly bootNonce: string;
  /** Hexadecimal. */
  readonly sessionId: string;
  readonly addresses: readonly string[];
}

export function encodeHello(own: OwnHello, peer: NodeId, sessionId: string, nowMs: number): wire.Hello {
  return {
    protocolMajor: protocol.major,
    protocolMinor: protocol.minor,
    version: own.version,
    epoch: own.epoch,
    bootNonce: Buffer.from(own.bootNonce),
    sessionId: Buffer.from(sessionId, 'hex'),
    features: [...ownFeatures],
    addresses: [...own.addresses()],
    nowMs,
    hlc: own.hlc(),
    previousEpoch: own.previousEpoch,
    seenEpochs: [...own.seenEpochs(peer)],
  };
}

/** The two nodes by name, since either may read what is said of them. */
export interface Greeting {
  readonly peerName: string;
  readonly ownName: string;
  readonly ownVersion: string;
}

/** @throws BrokerError `incompatible`, naming both versions and the remedy; `invalid` when it is malformed */
export function decodeHello(message: wire.Hello, { peerName, ownName, ownVersion }: Greeting): PeerHello {
  const version = name(message.version, 'hello.version').slice(0, 40);
  const spoken = { major: whole(message.protocolMajor, 'hello.protocol_major'), minor: whole(message.protocolMinor, 'hello.protocol_minor') };
  const behind = whoIsBehind(protocol, spoken);
  if (behind !== undefined) {
    throw new BrokerError(
      'incompatible',
      `${peerName} runs Beckon ${version} (protocol ${formatProtocol(spoken)}), ${ownName} runs ${ownVersion} (protocol ${formatProtocol(protocol)})`,
      { hint: `update Beckon on ${behind === 'own' ? ownName : peerName}` },
    );
  }
  if (message.bootNonce.length < 8 || message.bootNonce.length > 64) throw invalid('hello.boot_nonce has a wrong length');
  if (message.sessionId.length !== 16) throw invalid('hello.session_id has a wrong length');
  clockValue(message.hlc, 'hello.hlc');
  return {
    version,
    features: new Set(message.features.slice(0, mostFeatures).filter((each) => /^[a-z0-9_.-]{1,64}$/.test(each))),
    epoch: whole(message.epoch, 'hello.epoch'),
    previousEpoch: optionalWhole(message.previousEpoch, 'hello.previous_epoch'),
    seenEpochs: list(message.seenEpochs, 'hello.seen_epochs', 16).map((each) => whole(each, 'hello.seen_epochs')),
    bootNonce: message.bootNonce.toString('hex'),
    sessionId: message.sessionId.toString('hex'),
    addresses: list(message.addresses, 'hello.addresses', 32).map((address) => {
      parseHostPort(address);
      return address;
    }),
  };
}

/** `stopping`: the node goes down and is still a member; `left`: it is none any more; `removed`: the one that is told is none; `resting`: nobody needs the link. */
export type Farewell = 'stopping' | 'replaced' | 'incompatible' | 'clone' | 'protocol' | 'left' | 'removed' | 'resting';

const reasons: Readonly<Record<Farewell, GoodbyeReason>> = {
  stopping: GoodbyeReason.STOPPING,
  replaced: GoodbyeReason.REPLACED,
  incompatible: GoodbyeReason.INCOMPATIBLE,
  clone: GoodbyeReason.CLONE,
  protocol: GoodbyeReason.PROTOCOL,
  left: GoodbyeReason.LEFT,
  removed: GoodbyeReason.REMOVED,
  resting: GoodbyeReason.RESTING,
};

/** @param revocation what proves `removed` */
export function encodeGoodbye(reason: Farewell, detail: string, revocation?: SignedRecord): wire.Goodbye {
  return { reason: reasons[reason], detail: detail.slice(0, 1000), revocation: revocation === undefined ? undefined : encodeSignedRecord(revocation) };
}

/** A reason of a newer version reads as `stopping`: the peer closes, and that is all there is to know. */
export function decodeGoodbye({ reason, detail, revocation }: wire.Goodbye): { readonly reason: Farewell; readonly detail: string; readonly revocation?: SignedRecord } {
  const known = Object.entries(reasons).find(([, number]) => number === reason);
  return {
    reason: (known?.[0] as Farewell | undefined) ?? 'stopping',
    detail: detail.slice(0, 1000),
    ...(revocation === undefined ? {} : { revocation: decodeSignedRecord(revocation) }),
  };
}
