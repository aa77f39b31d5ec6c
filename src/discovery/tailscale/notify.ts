/** One line of `GET watch-ipn-bus` (ipn.Notify of tailscale): only whether it says that something changed, never what. */
import { z } from 'zod';
import { decode } from './json.ts';

const given = z.unknown().optional();
const notify = z.object({
  ErrMessage: z.string().nullish(),
  State: given,
  SelfChange: given,
  NetMap: given,
  PeerChanges: given,
  PeersChanged: given,
  PeerChangedPatch: given,
  PeersRemoved: given,
});

export interface Notify {
  /** State, this machine or a peer is not as it was. */
  readonly isChange: boolean;
  /** The daemon's last word: the watcher was too slow, say. */
  readonly error?: string;
}

/** @throws BrokerError `unavailable` */
export function decodeNotify(line: string): Notify {
  const { ErrMessage: error, ...rest } = decode(notify, line, 'a notice of tailscaled');
  const isChange = Object.values(rest).some((value) => value !== null && value !== undefined);
  return typeof error === 'string' ? { isChange, error } : { isChange };
}
