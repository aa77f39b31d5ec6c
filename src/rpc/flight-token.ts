/** How a process of a flight shows its token to its node: in the metadata of each call. */
import { InterceptingCall } from '@grpc/grpc-js';
import type { Interceptor } from '@grpc/grpc-js';
import { BrokerError } from '../domain/errors.ts';
import { flightTokenVariable } from '../domain/flight-token.ts';

export const flightTokenHeader = 'beckon-flight-token';

/**
 * What HTTP/2 does not carry (a blank before it or behind it, a letter outside ASCII) it drops, header and all, and a call without a token is
 * the user's. So a token that got something on the way is refused here, where it can still be seen.
 * @throws BrokerError `unauthenticated`
 */
export function showFlightToken(token: string): Interceptor {
  if (!/^[\x21-\x7e]+$/.test(token)) throw new BrokerError('unauthenticated', `the token in ${flightTokenVariable} is not one of this node`, { hint: `outside a flight: unset ${flightTokenVariable}` });
  return (options, nextCall) =>
    new InterceptingCall(nextCall(options), {
      start: (metadata, listener, next) => {
        metadata.set(flightTokenHeader, token);
        next(metadata, listener);
      },
    });
}
