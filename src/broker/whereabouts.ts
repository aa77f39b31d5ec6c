/** Which nodes a flight is between, when this one has no part in it: an id does not say. */
import { BrokerError, notFound } from '../domain/errors.ts';
import { isUlid, parseIdArgument } from '../domain/ids.ts';
import type { InvocationId, NodeId } from '../domain/ids.ts';
import type { FoundFlight } from '../domain/observation.ts';
import type { AskMembers } from './ask-members.ts';
import type { Flights } from './flights.ts';
import type { Nodes } from './nodes.ts';

/** Members that are asked at most; those of the same owner identity come first. */
const mostAsked = 128;
const askMs = 3000;
/** Named in an error. */
const mostNamed = 5;

export interface WhereaboutsParts {
  readonly flights: Pick<Flights, 'find'>;
  readonly members: AskMembers;
  readonly nodes: Nodes;
}

/**
 * Here, or as the first of the members says that knows it.
 * @throws BrokerError `not_found` naming those that could not be asked, `ambiguous`, `invalid`
 */
export async function whereabouts({ flights, members, nodes }: WhereaboutsParts, argument: string): Promise<FoundFlight> {
  try {
    const { invocationId, originNodeId, ownerNodeId } = flights.find(argument);
    return { invocationId, originNodeId, ownerNodeId };
  } catch (error) {
    const suffix = suffixOf(argument);
    if (!(error instanceof BrokerError) || error.code !== 'not_found' || suffix === undefined) throw error;
    const { found, asked, silent, closed } = await askAround(members, suffix);
    const [first, second] = [...found.values()];
    if (first === undefined) throw unknown(argument, asked, silent.map((each) => nodes.nameOf(each)), closed.map((each) => nodes.nameOf(each)));
    if (second !== undefined) throw new BrokerError('ambiguous', `several ids end in ${suffix}`, { hint: `give more of it: ${first.invocationId} or ${second.invocationId}` });
    return first;
  }
}

/** Of a flight; undefined for what stands for something on this node, or for no flight. */
function suffixOf(argument: string): string | undefined {
  const id = parseIdArgument(argument);
  if (id.kind === 'suffix') return id.suffix;
  return id.kind === 'id' && ['inv', 'flt', 'dlv'].includes(id.prefix) ? id.ulid : undefined;
}

interface Heard {
  readonly found: ReadonlyMap<InvocationId, FoundFlight>;
  readonly asked: number;
  /** Could not be asked. */
  readonly silent: readonly NodeId[];
  /** Answered that they tell this node nothing, whatever they have. */
  readonly closed: readonly NodeId[];
}

async function askAround(members: AskMembers, suffix: string): Promise<Heard> {
  const found = new Map<InvocationId, FoundFlight>();
  const silent: NodeId[] = [];
  const closed: NodeId[] = [];
  const wanted = members.others().slice(0, mostAsked).map((each) => each.nodeId);
  await members.each(
    wanted,
    async (nodeId) => {
      const answer = await members.ask(nodeId, { type: 'find', suffix }, askMs);
      for (const each of answer.found) found.set(each.invocationId, each);
      // A whole id is of one flight; an end may be of several, on different nodes.
      return found.size > 0 && isUlid(suffix);
    },
    (nodeId, { code }) => (code === 'denied' ? closed : silent).push(nodeId),
  );
  return { found, asked: wanted.length - silent.length - closed.length, silent, closed };
}

function unknown(argument: string, asked: number, silent: readonly string[], closed: readonly string[]): BrokerError {
  const others = asked === 0 ? '' : asked === 1 ? ', nor on the one other node that was asked' : `, nor on the ${asked} other nodes that were asked`;
  const rest = [
    ...(silent.length === 0 ? [] : [`${few(silent)} ${silent.length === 1 ? 'has' : 'have'} it: no answer`]),
    ...(closed.length === 0 ? [] : [`${few(closed)} ${closed.length === 1 ? 'has it: what it does' : 'have it: what they do'} for others is not told here`]),
  ];
  const unsaid = rest.length === 0 ? '' : `; not known is whether ${rest.join('; nor whether ')}`;
  return notFound(`nothing with the id ${argument} is known here${others}${unsaid}`, silent.length === 0 ? 'list what is: beckon flights' : 'see their states: beckon peers');
}

function few(names: readonly string[]): string {
  return names.length > mostNamed ? `${names.slice(0, mostNamed).join(', ')} and ${names.length - mostNamed} more` : names.join(', ');
}
