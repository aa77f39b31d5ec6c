/** Who calls through the control socket, and what a process of a flight may call. */
import type { BrokerApi, LocalCaller } from '../broker/api.ts';
import type { Audit } from '../domain/audit.ts';
import { denied } from '../domain/errors.ts';
import { flightTokenVariable } from '../domain/flight-token.ts';
import { ControlServiceService } from '../gen/beckon/v1/control.ts';
import type { Calling } from '../rpc/handler.ts';
import { flightTokenHeader } from '../rpc/flight-token.ts';
import { introspectionPaths } from '../rpc/introspection.ts';
import { actOf } from './act.ts';

/**
 * All that is open to a process of a flight. What stands here not is refused, so that a call that is added one day is
 * closed to it until somebody decides otherwise. Of flights it has its own and what it led to: the handlers see to that.
 */
const openToFlights: readonly (keyof typeof ControlServiceService)[] = [
  'getStatus',
  'listAgents',
  'getAgent',
  'resolve',
  'listPeers',
  'invoke',
  'invokeAll',
  'submit',
  'calls',
  'getGroup',
  'followFlight',
  'listFlights',
  'getFlight',
  'readOutput',
  'cancelFlight',
  'readDiff',
  'settleWorktree',
  'trace',
];

/** What can be called, and whether the node is well, is told to them too: a generic client needs the one before any call, and `getStatus` tells more than the other. */
const openPaths: ReadonlySet<string> = new Set([...openToFlights.map((name) => ControlServiceService[name].path), ...introspectionPaths]);

/**
 * Only this user can open the socket, so whoever got through is this user. Processes of a flight are told apart here, by
 * a token in the call's metadata, and nowhere else. That stops accidents, not malice: a process of this user can leave
 * the token out.
 */
/** @param audit is told when a process of a flight wanted more than that */
export function authenticate(uid: number, api: Pick<BrokerApi, 'flightCaller'>, audit?: Pick<Audit, 'refused'>): (call: Calling) => LocalCaller {
  const user: LocalCaller = { id: `uid:${uid}` };
  return (call) => {
    const [token] = call.metadata.get(flightTokenHeader);
    if (token === undefined) return user;
    const caller = api.flightCaller(String(token));
    if (!openPaths.has(call.getPath())) {
      audit?.refused({ kind: 'flight.refused', about: { call: call.getPath().slice(call.getPath().lastIndexOf('/') + 1), agent: caller.id.replace(/^agent:/, '') } }, actOf(caller));
      throw denied(`an agent at work may not do this: it is not among what ${flightTokenVariable} opens`, 'do it yourself, outside of the flight');
    }
    return caller;
  };
}
