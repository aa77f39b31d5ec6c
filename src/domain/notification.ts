/** What the person behind a flight wants to be told of it, and when. */
import type { ErrorInfo } from './errors.ts';
import { isTerminal } from './flight.ts';
import type { FlightState, WaitingReason } from './flight.ts';
import type { FlightId, InvocationId } from './ids.ts';
import type { Flight } from './records.ts';

export interface Notification {
  readonly event: 'waiting' | 'finished';
  readonly flightId: FlightId;
  readonly invocationId: InvocationId;
  readonly target: string;
  readonly state: FlightState;
  readonly waiting?: { readonly reason: WaitingReason; readonly request: string; readonly prompt: string; readonly choices: readonly string[]; readonly untilMs?: number };
  readonly exitCode?: number;
  readonly error?: ErrorInfo;
}

/** Of a flight whose end was told there is nothing more to tell. */
export const endTold = 'finished';

/** @param told the request, or the end, that was told last. @returns what is to be told now, and how that is remembered */
export function notificationDue(flight: Flight, told: string | undefined): { readonly notification: Notification; readonly mark: string } | undefined {
  const { id, invocationId, target, state, waiting, exitCode, error } = flight;
  const about = { flightId: id, invocationId, target, state };
  if (isTerminal(state)) {
    if (told === endTold) return undefined;
    const how = { ...(exitCode === undefined ? {} : { exitCode }), ...(error === undefined ? {} : { error }) };
    return { notification: { event: 'finished', ...about, ...how }, mark: endTold };
  }
  if (state !== 'waiting' || waiting === undefined || waiting.request === told) return undefined;
  const { sinceMs: _since, ...asked } = waiting;
  return { notification: { event: 'waiting', ...about, waiting: asked }, mark: waiting.request };
}

/** The way to the person at this node. */
export interface Notifier {
  /** Why nobody would notice, and what to do about it; undefined when somebody would. */
  readonly unable: string | undefined;
  /** @throws BrokerError saying why it could not be told, within some seconds. Aborting it ends what it began. */
  notify(notification: Notification, signal: AbortSignal): Promise<void>;
}
