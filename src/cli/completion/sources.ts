/** What a node knows that may be typed. Values that a shell could take for more than a word are never offered. */
import { parseAddress, shellAddress } from '../../domain/address.ts';
import { formatDuration } from '../../domain/duration.ts';
import type { Flight } from '../../domain/records.ts';
import { neutralise } from '../../domain/text.ts';
import type { AgentView, NodeClient } from '../../client/types.ts';
import { relativeTime } from '../output.ts';
import type { Candidate, Source } from './expected.ts';

const most = 1000;
const mostFlights = 50;
/** Safe unquoted in bash, zsh and fish, at least inside a word. */
const plain = /^[A-Za-z0-9@_.][A-Za-z0-9@_.,:#%+=/-]*$/;
const longestAbout = 60;
const last: Candidate = { value: 'last', about: 'the newest' };

export interface Asking {
  readonly client: NodeClient;
  readonly nowMs: number;
  /** What stands at the cursor. */
  readonly current: string;
  readonly args: readonly string[];
}

/** In the order in which they are to be shown. */
export async function candidatesOf(source: Source, asking: Asking): Promise<Candidate[]> {
  const found = await ask(source, asking);
  return found.filter(({ value }) => plain.test(value)).map(({ value, about }) => ({ value, about: line(about) }));
}

async function ask(source: Source, { client, nowMs, current, args }: Asking): Promise<Candidate[]> {
  switch (source) {
    case 'agent':
      return (await agentsOf(client, current)).map((view) => ({ value: addressOf(view, current), about: aboutAgent(view) }));
    case 'harness':
      return distinct(await agentsOf(client), ({ registration }) => [registration.harness]);
    case 'label':
      return distinct(await agentsOf(client), ({ registration }) => Object.entries(registration.labels).map(([key, value]) => `${key}=${value}`));
    case 'capability':
      return distinct(await agentsOf(client), ({ registration }) => registration.capabilities);
    case 'owner':
      return distinct(await agentsOf(client), ({ owner }) => [owner]);
    case 'node': {
      const [{ name }, peers] = await Promise.all([client.status(), client.peers()]);
      return [...peers.filter(({ nodeId }) => nodeId !== '').map((peer) => ({ value: peer.name, about: peer.state })), { value: name, about: 'here' }].toSorted((a, b) => (a.value < b.value ? -1 : 1));
    }
    case 'party': {
      const members = await client.members();
      const persons = [...new Set(members.map(({ owner }) => owner))].toSorted();
      return [...persons.map((value) => ({ value, about: 'a person' })), ...members.map(({ name, state }) => ({ value: name, about: state === 'self' ? 'here' : state }))];
    }
    case 'group': {
      const { items } = await client.listFlights({}, { limit: mostFlights });
      return [...new Set(items.flatMap(({ groupId }) => groupId ?? []))].map((value) => ({ value, about: `${items.filter((each) => each.groupId === value).length} of the last flights` }));
    }
    case 'flight': {
      const { items } = await client.listFlights({}, { limit: mostFlights });
      return [last, ...items.map((flight) => ({ value: current.startsWith('inv_') ? flight.invocationId : flight.id, about: aboutFlight(flight, nowMs) }))];
    }
    case 'waitingFlight':
      return (await waiting(client)).map((flight) => ({ value: flight.id, about: flight.waiting?.prompt ?? '' }));
    case 'request': {
      const wanted = (args[0] ?? '').toUpperCase();
      const asked = (await waiting(client)).filter(({ id, invocationId }) => wanted === 'LAST' || id.toUpperCase().endsWith(wanted) || invocationId.toUpperCase().endsWith(wanted));
      return asked.flatMap((flight) => (flight.waiting === undefined ? [] : [{ value: flight.waiting.request, about: flight.waiting.prompt }]));
    }
    case 'delivery': {
      const { items } = await client.listDeliveries({}, { limit: mostFlights });
      return [last, ...items.map(({ id, status, target, createdAtMs }) => ({ value: id, about: `${status}, ${target}, ${relativeTime(createdAtMs, nowMs, formatDuration)}` }))];
    }
    case 'file':
    case 'directory':
      return [];
  }
}

/** @param begun the beginning of an address: the node sends no others */
async function agentsOf(client: NodeClient, begun = ''): Promise<readonly AgentView[]> {
  return (await client.listAgents(begun === '' ? {} : { pattern: `${begun}*` }, { limit: most })).items;
}

async function waiting(client: NodeClient): Promise<readonly Flight[]> {
  return (await client.listFlights({ state: 'waiting' }, { limit: mostFlights })).items;
}

/** In the form that was begun; without a beginning the one that no shell wants quoted. */
function addressOf({ registration }: AgentView, current: string): string {
  return current.startsWith('@') ? registration.address : shellAddress(parseAddress(registration.address));
}

function aboutAgent({ registration, state }: AgentView): string {
  return `${state}, ${registration.harness}${registration.available ? '' : `, not available: ${registration.unavailableWhy ?? 'unknown'}`}`;
}

function aboutFlight(flight: Flight, nowMs: number): string {
  return `${flight.state}, ${flight.target}, ${relativeTime(flight.acceptedAtMs, nowMs, formatDuration)}`;
}

function distinct(views: readonly AgentView[], valuesOf: (view: AgentView) => readonly string[]): Candidate[] {
  return [...new Set(views.flatMap(valuesOf))].toSorted().map((value) => ({ value, about: '' }));
}

/** One short line: it may be the words of an agent on another machine. */
export function line(text: string): string {
  const characters = Array.from(neutralise(text).replaceAll(/\s+/g, ' ').trim());
  return characters.length <= longestAbout ? characters.join('') : `${characters.slice(0, longestAbout - 1).join('')}…`;
}
