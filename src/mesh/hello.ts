/** The first frame of each side: version, epoch, boot nonce. */
import { BrokerError, invalid } from '../domain/errors.ts';
import type { Hlc } from '../domain/hlc.ts';
import type { NodeId } from '../domain/ids.ts';
import { parseHostPort } from '../domain/host-port.ts';
import { GoodbyeReason } from '../gen/beckon/v1/mesh.ts';
import type * as wire from '../gen/beckon/v1/mesh.ts';
import { clockValue, list, name, optionalWhole, whole } from '../rpc/fields.ts';

/** Another major version can't be talked to; minor versions add frames and fields that older nodes skip. */
export const protocol = { major: 1, minor: 0 } as const;

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
    features: [],
    addresses: [...own.addresses()],
    nowMs,
    hlc: own.hlc(),
    previousEpoch: own.previousEpoch,
    seenEpochs: [...own.seenEpochs(peer)],
  };
}

/** @throws BrokerError `incompatible`, naming both versions and the remedy; `invalid` when it is malformed */
export function decodeHello(message: wire.Hello, peerName: string, ownVersion: string): PeerHello {
  const version = name(message.version, 'hello.version').slice(0, 40);
  if (message.protocolMajor !== protocol.major) {
    const behind = message.protocolMajor < protocol.major ? peerName : 'this machine';
    throw new BrokerError(
      'incompatible',
      `${peerName} runs Beckon ${version} (protocol ${message.protocolMajor}), this node ${ownVersion} (protocol ${protocol.major})`,
      { hint: `update Beckon on ${behind}` },
    );
  }
  if (message.bootNonce.length < 8 || message.bootNonce.length > 64) throw invalid('hello.boot_nonce has a wrong length');
  if (message.sessionId.length !== 16) throw invalid('hello.session_id has a wrong length');
  clockValue(message.hlc, 'hello.hlc');
  return {
    version,
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

export type Farewell = 'stopping' | 'replaced' | 'incompatible' | 'clone' | 'protocol';

const reasons: Readonly<Record<Farewell, GoodbyeReason>> = {
  stopping: GoodbyeReason.STOPPING,
  replaced: GoodbyeReason.REPLACED,
  incompatible: GoodbyeReason.INCOMPATIBLE,
  clone: GoodbyeReason.CLONE,
  protocol: GoodbyeReason.PROTOCOL,
};

export function encodeGoodbye(reason: Farewell, detail: string): wire.Goodbye {
  return { reason: reasons[reason], detail: detail.slice(0, 1000) };
}

/** A reason of a newer version reads as `stopping`: the peer closes, and that is all there is to know. */
export function decodeGoodbye(message: wire.Goodbye): { readonly reason: Farewell; readonly detail: string } {
  const known = Object.entries(reasons).find(([, number]) => number === message.reason);
  return { reason: (known?.[0] as Farewell | undefined) ?? 'stopping', detail: message.detail.slice(0, 1000) };
}
