/** The closed enums of the domain and their numbers on the wire, by name: `queued` is `QUEUED`. */
import { deliveryStates, failureReasons } from '../domain/delivery.ts';
import { BrokerError, errorCodes, internal, invalid } from '../domain/errors.ts';
import { outputStreams } from '../domain/flight-event.ts';
import { flightStates, waitingReasons } from '../domain/flight.ts';
import { peerStates } from '../domain/peer.ts';
import { replyKinds } from '../domain/request.ts';
import { visibilities } from '../domain/registration.ts';
import { quoted } from '../domain/text.ts';
import * as wire from '../gen/beckon/v1/record.ts';

export interface EnumTable<Value extends string, Wire extends number> {
  /** Undefined becomes the unspecified value. */
  toWire(value: Value | undefined): Wire;
  /**
   * @throws BrokerError `invalid` for the unspecified value, `incompatible` for a number that only a newer version
   * knows: a state that is not understood is never taken for another one.
   */
  fromWire(number: number): Value;
  /** The same, with `fallback` for a number that only a newer version knows. */
  fromWireOr(number: number, fallback: Value): Value;
  /** `fromWire` where the unspecified value means absent. */
  optionalFromWire(number: number): Value | undefined;
  /** Undefined for every number that this version does not know: for a caller with a fallback. */
  knownFromWire(number: number): Value | undefined;
}

/** A value that the generated enum lacks does not compile. */
export function enumTable<
  Value extends string,
  Wire extends Readonly<Record<Uppercase<Value> | 'UNSPECIFIED', number>>,
>(what: string, values: readonly Value[], numbers: Wire): EnumTable<Value, Extract<Wire[keyof Wire], number>> {
  const named = numbers as Readonly<Record<string, number>> as Readonly<Record<string, Extract<Wire[keyof Wire], number>>>;
  const numberOf = (value: Value | undefined) => {
    const number = named[(value ?? 'unspecified').toUpperCase()];
    if (number === undefined) throw internal(`${quoted(value ?? '')} is no ${what}`);
    return number;
  };
  const present = (value: Value | undefined): Value => {
    if (value === undefined) throw invalid(`the ${what} is missing`);
    return value;
  };
  const valueOf = new Map<number, Value>(values.map((value) => [numberOf(value), value]));
  const optionalFromWire = (number: number): Value | undefined => {
    if (number === 0) return undefined;
    const value = valueOf.get(number);
    if (value !== undefined) return value;
    throw new BrokerError('incompatible', `${what} ${number} is not known to this version of Beckon`, {
      hint: 'update Beckon on this machine',
    });
  };
  return {
    toWire: numberOf,
    optionalFromWire,
    knownFromWire: (number) => valueOf.get(number),
    fromWire: (number) => present(optionalFromWire(number)),
    fromWireOr: (number, fallback) => present(number === 0 ? undefined : (valueOf.get(number) ?? fallback)),
  };
}

export const errorCode = enumTable('error code', errorCodes, wire.ErrorCode);
export const flightState = enumTable('flight state', flightStates, wire.FlightState);
export const deliveryState = enumTable('delivery state', deliveryStates, wire.DeliveryState);
export const failureReason = enumTable('failure reason', failureReasons, wire.FailureReason);
export const peerState = enumTable('peer state', peerStates, wire.PeerState);
export const outputStream = enumTable('output stream', outputStreams, wire.OutputStream);
export const waitingReason = enumTable('waiting reason', waitingReasons, wire.WaitingReason);
export const replyKind = enumTable('kind of reply', replyKinds, wire.ReplyKind);
export const visibility = enumTable('visibility', visibilities, wire.Visibility);
export const verdict = enumTable('verdict', ['owner', 'origin'] as const, wire.Verdict);
export const sessionMode = enumTable('session mode', ['new', 'continue', 'named'] as const, wire.SessionMode);
