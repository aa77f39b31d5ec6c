/** Making an invocation anew that came to nothing. */
import { formatAddress, parseAddress } from '../domain/address.ts';
import { BrokerError, conflict, notFound } from '../domain/errors.ts';
import { deliveryOfFlight, flightOfInvocation } from '../domain/ids.ts';
import { mayRedrive } from '../domain/redrive.ts';
import type { Flight } from '../domain/records.ts';
import type { Store } from '../domain/store-port.ts';
import type { AcceptedFlight, InvokeInput, LocalCaller } from './api.ts';
import type { FlightTraces } from './flight-traces.ts';
import { storedTask } from './stored-work.ts';

export interface RedriveParts {
  readonly store: Store;
  readonly find: (argument: string) => Flight;
  readonly invoke: (input: InvokeInput) => Promise<AcceptedFlight>;
  readonly traces: FlightTraces;
}

export interface RedriveInput {
  readonly id: string;
  readonly caller: LocalCaller;
  /** Even though it may have run. */
  readonly confirmed: boolean;
}

/**
 * Same task, files, session, run and idle limits, and instance; queue and total deadlines are the usual ones, counted from now.
 * Each invocation is redriven once: again gives the first redrive, or names it when that has come to nothing as well.
 * @throws `conflict` when it completed, may still run, may have run and that is not `confirmed`, or its task was pruned;
 * and what an invocation is refused with
 */
export async function redrive({ store, find, invoke, traces }: RedriveParts, { id, caller, confirmed }: RedriveInput): Promise<AcceptedFlight> {
  const flight = find(id);
  const { invocationId } = flight;
  const short = flight.id.slice(-6);
  const delivery = store.read.delivery(invocationId);
  const invocation = store.read.invocation(invocationId);
  if (delivery === undefined || invocation === undefined) throw notFound(`no delivery ${deliveryOfFlight(flight.id)} is known here`, 'redrive it on the node where it was invoked');
  switch (mayRedrive(flight, delivery)) {
    case 'open':
      throw conflict(`it has not ended: it is ${flight.state} and may still run`, `end it first: beckon flight cancel ${short}`);
    case 'done':
      throw conflict('it has completed: there is nothing to redrive', `see its answer: beckon flight output ${short}`);
    case 'confirm':
      if (confirmed) break;
      throw conflict(`it is ${flight.state} and may have run, wholly or in part`, `when running it again does no harm: beckon delivery redrive ${short} --yes`);
    case 'yes':
  }
  const key = `redrive:${invocationId}`;
  const known = store.read.keyed(caller.id, key);
  const earlier = known === undefined ? undefined : store.read.flight(flightOfInvocation(known.invocationId));
  if (earlier !== undefined) {
    if (earlier.state === 'completed' || earlier.finishedAtMs === undefined) return { flight: earlier, deduplicated: true };
    throw conflict(`it was redriven already, as ${earlier.invocationId}, which ended ${earlier.state}`, `redrive that one: beckon delivery redrive ${earlier.id.slice(-6)}`);
  }
  const task = await storedTask(store, invocationId);
  if (task === undefined) throw new BrokerError('conflict', 'its task is no longer stored', { hint: 'invoke it again with the task' });
  const { runMs, idleMs } = invocation.limits;
  const trace = traces.ofAnother(invocation);
  return invoke({
    caller,
    selector: { address: formatAddress(parseAddress(invocation.target)), any: false, all: false, anyOwner: true, capabilities: [], labels: {}, cwd: '/' },
    addressTyped: invocation.addressTyped,
    redriveOf: invocationId,
    key,
    task,
    session: invocation.session,
    noHold: false,
    rerunnable: invocation.rerunnable,
    ...(trace === undefined ? {} : { trace }),
    ...(runMs === undefined ? {} : { runLimitMs: runMs }),
    ...(idleMs === undefined ? {} : { idleLimitMs: idleMs }),
  });
}
