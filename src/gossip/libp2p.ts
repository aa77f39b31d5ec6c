/**
 * The libraries, as types; and at run time only from `load`: importing them costs some 20 MB and 0.2 s, which a node that
 * gossips with nobody does not spend.
 */
import type { noise } from '@chainsafe/libp2p-noise';
import type { yamux } from '@chainsafe/libp2p-yamux';
import type { privateKeyFromRaw } from '@libp2p/crypto/keys';
import type { gossipsub } from '@libp2p/gossipsub';
import type { peerIdFromString } from '@libp2p/peer-id';
import type { tcp } from '@libp2p/tcp';
import type { multiaddr } from '@multiformats/multiaddr';
import type { createLibp2p } from 'libp2p';

export type Libp2pInit = NonNullable<Parameters<typeof createLibp2p>[0]>;
export type Libp2p = Awaited<ReturnType<typeof createLibp2p>>;
export type PeerId = Libp2p['peerId'];
export type Connection = ReturnType<Libp2p['getConnections']>[number];
export type ConnectionGater = NonNullable<Libp2pInit['connectionGater']>;
export type Logger = ReturnType<NonNullable<Libp2pInit['logger']>['forComponent']>;
export type Components = Parameters<NonNullable<Libp2pInit['services']>[string]>[0];
export type Registrar = Components['registrar'];
export type Topology = Parameters<Registrar['register']>[1];
export type StreamHandler = Parameters<Registrar['handle']>[1];
export type Stream = Parameters<StreamHandler>[0];

/** What is used of each. */
export interface Libraries {
  readonly createLibp2p: typeof createLibp2p;
  readonly gossipsub: typeof gossipsub;
  readonly tcp: typeof tcp;
  readonly noise: typeof noise;
  readonly yamux: typeof yamux;
  readonly privateKeyFromRaw: typeof privateKeyFromRaw;
  readonly peerIdFromString: typeof peerIdFromString;
  readonly multiaddr: typeof multiaddr;
}

export async function load(): Promise<Libraries> {
  const [libp2p, gossip, transport, encryption, muxer, keys, ids, addresses] = await Promise.all([
    import('libp2p'),
    import('@libp2p/gossipsub'),
    import('@libp2p/tcp'),
    import('@chainsafe/libp2p-noise'),
    import('@chainsafe/libp2p-yamux'),
    import('@libp2p/crypto/keys'),
    import('@libp2p/peer-id'),
    import('@multiformats/multiaddr'),
  ]);
  return {
    createLibp2p: libp2p.createLibp2p,
    gossipsub: gossip.gossipsub,
    tcp: transport.tcp,
    noise: encryption.noise,
    yamux: muxer.yamux,
    privateKeyFromRaw: keys.privateKeyFromRaw,
    peerIdFromString: ids.peerIdFromString,
    multiaddr: addresses.multiaddr,
  };
}
