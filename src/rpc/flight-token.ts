/** How a process of a flight shows its token to its node: in the metadata of each call. */
import { InterceptingCall } from '@grpc/grpc-js';
import type { Interceptor } from '@grpc/grpc-js';

export const flightTokenHeader = 'beckon-flight-token';

export function showFlightToken(token: string): Interceptor {
  return (options, nextCall) =>
    new InterceptingCall(nextCall(options), {
      start: (metadata, listener, next) => {
        metadata.set(flightTokenHeader, token);
        next(metadata, listener);
      },
    });
}
