/** Tokens for the processes of a flight: its id and an HMAC-SHA256 (RFC 2104) of id and run under a secret of this node. */
import { createHmac, createSecretKey, timingSafeEqual } from 'node:crypto';
import type { FlightTokens } from '../domain/flight-token.ts';
import { isFlightId } from '../domain/ids.ts';
import type { FlightId } from '../domain/ids.ts';

/**
 * The secret of a node for its tokens, made from its key: an Ed25519 signature is the same each time (RFC 8032) and
 * nobody else can make it. Nothing else is ever signed with this text in front.
 */
export function flightTokenSecret(key: { sign(message: Uint8Array): Uint8Array }): Uint8Array {
  return key.sign(new TextEncoder().encode('beckon flight token secret v1'));
}

export function createFlightTokens(secret: Uint8Array): FlightTokens {
  const key = createSecretKey(secret);
  const of = (flightId: FlightId, run: number): string => `${flightId}.${createHmac('sha256', key).update(`${flightId} ${run}`).digest('base64url')}`;
  return {
    of,
    flightIn(token) {
      const [id = '', mac, ...rest] = token.split('.');
      return mac !== undefined && rest.length === 0 && isFlightId(id) ? id : undefined;
    },
    proves(token, flightId, run) {
      const [shown, right] = [Buffer.from(token), Buffer.from(of(flightId, run))];
      return shown.length === right.length && timingSafeEqual(shown, right);
    },
  };
}
