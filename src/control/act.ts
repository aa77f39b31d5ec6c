/** Whose act a call of a local client is. */
import type { LocalCaller } from '../broker/api.ts';
import type { Act } from '../domain/audit.ts';

export function actOf({ id, flight }: LocalCaller): Act {
  const from = { via: 'socket' } as const;
  if (flight === undefined) return { who: { is: 'user', id }, from };
  return { who: { is: 'flight', flightId: flight.flightId, agent: id.replace(/^agent:/, '') }, from };
}
