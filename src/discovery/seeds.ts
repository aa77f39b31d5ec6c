/** Addresses that a person gave: where to look for other nodes first. */
import { formatHostPort, parseHostPort } from '../domain/host-port.ts';

/** The port that nodes listen on unless told otherwise. */
export const defaultPort = 7423;

/** Each as host:port, once. @throws BrokerError `invalid`, naming the one that is wrong */
export function readSeeds(texts: readonly string[]): readonly string[] {
  return [...new Set(texts.map((text) => formatHostPort(parseHostPort(text.trim(), defaultPort))))];
}
