/** All ways to ask for a list, and what is rare in each: a page that is full at once proves nothing. */
import { deliveryStates } from '../../../src/domain/delivery.ts';
import { flightStates } from '../../../src/domain/flight.ts';
import type { FlightId } from '../../../src/domain/ids.ts';
import type { NodeClient } from '../../../src/client/types.ts';
import { singular } from '../stored/lives.ts';

const dayMs = 24 * 3_600_000;

export interface Question {
  readonly what: string;
  ask(client: NodeClient): Promise<unknown>;
}

/** Common, rare, one in all, and none at all; in each form that an agent can be given in. */
function agentsOf(node: string): readonly string[] {
  const { agent, nodeName } = singular;
  return [
    ...['fabric', agent, 'nobody'],
    ...[`fabric@${node}`, 'fabric@phone', `${agent}@${nodeName}`, `${agent}@${node}`, 'fabric@nowhere'],
    ...['fabric/main', 'fabric/topic/7', `${agent}/main`, 'plan/feature-x', 'fabric/nowhere'],
    ...[`@fabric@${node}#main`, `@fabric@${node}#topic/7`, '@mail@phone#feature-x', `@${agent}@${nodeName}#main`, `@fabric@${node}#nowhere`],
  ];
}

/** @param seen a flight of each kind that its details are asked for, and groups */
export function questions(node: string, nowMs: number, seen: { readonly flights: readonly FlightId[]; readonly group: string }): readonly Question[] {
  const states = [undefined, ...flightStates];
  const words = (...parts: readonly (string | undefined)[]): string => parts.filter((part) => part !== undefined).join(' ');
  const given = <Filter extends object>(filter: Filter) => Object.fromEntries(Object.entries(filter).filter(([, value]) => value !== undefined)) as never;
  const list = [undefined, ...agentsOf(node)].flatMap((agent) => states.map((state): Question => ({
    what: words('flights', state && `--state ${state}`, agent && `--agent ${agent}`),
    ask: (client) => client.listFlights(given({ state, agent }), { limit: 100 }),
  })));
  const ofGroup = states.map((state): Question => ({
    what: words('flights --group ID', state && `--state ${state}`),
    ask: (client) => client.listFlights(given({ group: seen.group, state }), { limit: 100 }),
  }));
  const since = [undefined, 0, nowMs - 300 * dayMs, nowMs - dayMs, nowMs];
  const deliveries = [undefined, ...deliveryStates].flatMap((status) => since.map((sinceMs): Question => ({
    what: words('deliveries', status && `--status ${status}`, sinceMs === undefined ? undefined : `--since ${Math.round((nowMs - sinceMs) / dayMs)} d ago`),
    ask: (client) => client.listDeliveries(given({ status, sinceMs }), { limit: 100 }),
  })));
  const ofInvocation = [undefined, ...deliveryStates].flatMap((status) => seen.flights.map((id): Question => ({
    what: words('deliveries --invocation ID', status && `--status ${status}`),
    ask: (client) => client.listDeliveries(given({ status, invocation: id }), { limit: 100 }),
  })));
  const single = seen.flights.flatMap((id): Question[] => [
    { what: 'trace ID', ask: (client) => client.trace(id) },
    { what: 'trace SUFFIX', ask: (client) => client.trace(id.slice(-6)) },
    { what: 'flight show ID', ask: (client) => client.getFlight(id) },
  ]);
  const others: Question[] = [
    { what: 'status', ask: (client) => client.status() },
    { what: 'inbox', ask: (client) => client.listWaiting() },
    { what: 'agents', ask: (client) => client.listAgents({}, { limit: 100 }) },
    { what: 'peers', ask: (client) => client.peers() },
  ];
  return [...list, ...ofGroup, ...deliveries, ...ofInvocation, ...single, ...others];
}
