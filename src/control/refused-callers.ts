/**
 * What a process of a flight tried that its token does not open, and tokens that are good no more: told in the log once a flight
 * and call, since the process decides how often it tries. Such a line names no other node, so the limits of those are none of it.
 */
import { BrokerError } from '../domain/errors.ts';
import { isFlightId } from '../domain/ids.ts';
import type { Clock, Log } from '../domain/ports.ts';
import type { Calling } from '../rpc/handler.ts';
import { flightTokenHeader } from '../rpc/flight-token.ts';

/** Lines a minute, whatever they are about. */
const linesPerMinute = 60;
const minuteMs = 60_000;
/** Flights and calls that are remembered as told. */
const mostTold = 1_000;

export interface RefusedCallersParts {
  readonly clock: Pick<Clock, 'monotonic'>;
  readonly log: Log;
}

/** @returns the same, but that it logs what it refuses */
export function tellingOf<Caller>({ clock, log }: RefusedCallersParts, authenticate: (call: Calling) => Caller): (call: Calling) => Caller {
  const told = new Set<string>();
  let windowEndsMs = 0;
  let lines = 0;
  const tell = (call: Calling, { code, message }: BrokerError): void => {
    const [id = ''] = String(call.metadata.get(flightTokenHeader)[0] ?? '').split('.');
    const flightId = isFlightId(id) ? id : undefined;
    const what = `${code} ${flightId ?? ''} ${call.getPath()}`;
    const nowMs = clock.monotonic();
    if (nowMs >= windowEndsMs) [windowEndsMs, lines] = [nowMs + minuteMs, 0];
    if (told.has(what) || lines >= linesPerMinute) return;
    lines += 1;
    told.add(what);
    const [oldest] = told;
    if (told.size > mostTold && oldest !== undefined) told.delete(oldest);
    log.warn({ ...(flightId === undefined ? {} : { flightId }), call: call.getPath(), code, why: message }, 'a process of a flight was refused what it asked of this node');
  };
  return (call) => {
    try {
      return authenticate(call);
    } catch (thrown) {
      if (thrown instanceof BrokerError) tell(call, thrown);
      throw thrown;
    }
  };
}
