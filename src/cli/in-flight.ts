/** What a process of a flight may not do though no node is asked: its token counts here, too. */
import { denied } from '../domain/errors.ts';
import { flightTokenVariable } from '../domain/flight-token.ts';
import type { Context } from './context.ts';

/** @param what as in `an agent at work WHAT`. @throws BrokerError `denied` */
export function refuseInFlight({ host }: Context, what: string): void {
  if ((host.env[flightTokenVariable] ?? '') !== '') throw denied(`an agent at work ${what}`, 'do it in a shell of your own');
}
