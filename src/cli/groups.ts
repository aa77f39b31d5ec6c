/** What commands on a flight do when the id is of a group: show, wait, cancel. */
import { BrokerError, conflict } from '../domain/errors.ts';
import { countOf } from '../domain/group.ts';
import { isTerminal } from '../domain/flight.ts';
import type { Flight } from '../domain/records.ts';
import type { NodeClient } from '../client/types.ts';
import { paintState } from './colour.ts';
import type { Context } from './context.ts';
import { exitOfGroup, exitOk, exitStillGoing } from './exit.ts';
import { failureOf } from './flight-view.ts';
import { cancelGroup } from './group-cancel.ts';
import { flightDocument } from './json.ts';
import type { Names } from './json.ts';
import { nodeNames } from './names.ts';
import { table } from './table.ts';

export type Group = Awaited<ReturnType<NodeClient['getGroup']>>;

/** The flight that an id means by `ofFlight`, or else the group. A suffix may be of either: flights come first. */
export async function flightOrGroup<Found>(client: NodeClient, id: string, ofFlight: () => Promise<Found>): Promise<{ readonly flight: Found } | { readonly group: Group }> {
  if (/^grp_/i.test(id)) return { group: await client.getGroup(id) };
  try {
    return { flight: await ofFlight() };
  } catch (thrown) {
    if (!(thrown instanceof BrokerError) || thrown.code !== 'not_found' || id.includes('_') || id.toLowerCase() === 'last') throw thrown;
    const group = await client.getGroup(id).catch((other: unknown) => {
      if (other instanceof BrokerError && other.code === 'not_found') throw thrown;
      throw other;
    });
    return { group };
  }
}

export async function showGroup(context: Context, client: NodeClient, { groupId, flights }: Group): Promise<number> {
  const { out } = context;
  if (out.isJson) {
    await out.json(groupDocument(groupId, flights, await nodeNames(client)));
    return exitOk;
  }
  const { completed, of, state } = countOf(flights);
  await out.line(`${groupId}  ${completed} of ${of} completed${completed === of ? '' : `, ${state}`}`);
  await rows(context, flights);
  return exitOk;
}

export async function waitForGroup(context: Context, client: NodeClient, { groupId, flights }: Group, signal: AbortSignal): Promise<number> {
  const { out } = context;
  await Promise.all(
    flights.map(async ({ id }) => {
      // No event is after this one, so that only the end is sent.
      for await (const update of client.follow(id, { afterSeq: Number.MAX_SAFE_INTEGER, signal })) void update;
    }),
  );
  const { flights: last } = await client.getGroup(groupId);
  if (out.isJson) await out.json(groupDocument(groupId, last, await nodeNames(client)));
  else {
    const { completed, of } = countOf(last);
    await out.line(`${completed} of ${of} completed`);
    for (const flight of last) {
      const failure = failureOf(flight);
      if (failure !== undefined) out.note(`  ${flight.target}  ${failure.message}`);
      else if (!isTerminal(flight.state)) out.note(`  ${flight.target}  is still ${flight.state}`);
    }
  }
  return exitOfGroup(last);
}

export async function cancelWholeGroup(context: Context, client: NodeClient, { groupId, flights }: Group, waitMs: number): Promise<number> {
  const { out } = context;
  if (flights.every(({ state }) => isTerminal(state))) {
    const { completed, of } = countOf(flights);
    throw conflict(`all of it has ended already: ${completed} of ${of} completed`, `see how: beckon flight show ${groupId}`);
  }
  const cancelled = await cancelGroup(client, flights, waitMs);
  const confirmed = cancelled.every((each) => each.confirmed);
  const last = cancelled.map(({ flight }) => flight);
  const ended = last.reduce((sum, flight) => sum + (flight.ended ?? 0), 0);
  if (out.isJson) {
    const members = cancelled.map(({ flight, confirmed: isSure }) => ({ flightId: flight.id, target: flight.target, state: flight.state, confirmed: isSure, ended: flight.ended ?? 0 }));
    await out.json({ groupId, state: countOf(last).state, confirmed, ended, flights: members });
  } else {
    await rows(context, last);
    if (!confirmed) out.note('not confirmed by all: some nodes have not answered yet; the requests stand');
  }
  return confirmed ? exitOk : exitStillGoing;
}

function groupDocument(groupId: string, flights: readonly Flight[], names: Names): object {
  return { group: { id: groupId, ...countOf(flights) }, flights: flights.map((each) => flightDocument(each, names)) };
}

async function rows({ out }: Context, flights: readonly Flight[]): Promise<void> {
  await table(
    out,
    ['flight', 'state', 'target'],
    flights.map((each) => [each.id, paintState(out.colours, each.state), each.target]),
  );
}
