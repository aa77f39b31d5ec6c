/** What `POST ping` answers (ipnstate.PingResult of tailscale). */
import { z } from 'zod';
import { decode, text } from './json.ts';

const ping = z.object({ Err: text, LatencySeconds: z.number().nullish(), Endpoint: text, PeerRelay: text, DERPRegionCode: text });

export type Ping =
  | { readonly kind: 'answered'; readonly rttMs: number; /** host:port of a direct path, or the relay in between. */ readonly via: string }
  | { readonly kind: 'failed'; readonly why: string };

/** @throws BrokerError `unavailable` */
export function decodePing(body: string): Ping {
  const { Err: error, LatencySeconds: seconds, Endpoint: endpoint, PeerRelay: peerRelay, DERPRegionCode: relay } = decode(ping, body, 'the ping of tailscaled');
  if (error !== '') return { kind: 'failed', why: error };
  return { kind: 'answered', rttMs: (seconds ?? 0) * 1000, via: [endpoint, peerRelay, relay === '' ? '' : `relay ${relay}`].find((each) => each !== '') ?? 'an unknown path' };
}
