/** Whose flight a peer speaks of. */
import { denied } from '../domain/errors.ts';
import { flightOfInvocation } from '../domain/ids.ts';
import type { InvocationId } from '../domain/ids.ts';
import type { Link } from '../domain/mesh-port.ts';
import type { Flight } from '../domain/records.ts';
import type { Store } from '../domain/store-port.ts';

/** Undefined for what is not known here. @throws BrokerError `denied` when another node than its owner speaks of it */
export function flightOfOwner({ read }: Pick<Store, 'read'>, { peer }: Link, invocationId: InvocationId): Flight | undefined {
  const flight = read.flight(flightOfInvocation(invocationId));
  if (flight !== undefined && flight.ownerNodeId !== peer.nodeId) throw denied(`${invocationId} is not for this node to speak of`);
  return flight;
}
