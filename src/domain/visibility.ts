/**
 * What a node shows of its work, and to whom. Text (tasks, answers, questions, the words of errors) is for the two nodes
 * of a flight and the persons that these belong to; receipts and states are also for whoever has the verb `inspect`.
 * Pure: the node that has the data asks this before it answers, so that no other node has to be trusted with it.
 */
import type { Fact } from './event.ts';
import type { NodeId } from './ids.ts';
import type { NodeReport, Owing, TroubledFlight } from './observation.ts';
import type { Delivery, Flight } from './records.ts';

/** What the policy says of the verb `inspect`; `unruled`: nothing either way. */
export type Inspects = 'allowed' | 'denied' | 'unruled';

export type Sight = 'text' | 'states' | 'nothing';

/** Who has a part in a flight. */
export interface Parties {
  /** Its origin and its owner. */
  readonly nodes: readonly NodeId[];
  /** Their owner identities. */
  readonly persons: readonly string[];
}

/** A node has what it is told anyway, so no rule takes its own flights from it; from its person's other nodes a denial does. */
export function sightOf(viewer: { readonly nodeId: NodeId; readonly owner: string }, { nodes, persons }: Parties, inspects: Inspects): Sight {
  if (nodes.includes(viewer.nodeId)) return 'text';
  if (inspects === 'denied') return 'nothing';
  if (persons.includes(viewer.owner)) return 'text';
  return inspects === 'allowed' ? 'states' : 'nothing';
}

const hiddenWords = 'its words are for those who asked for it and for the person of its agent';

/** Which request it waits for, but not what was asked; how an error is called, but not what it says. */
export function flightStates(flight: Flight): Flight {
  const { waiting, error } = flight;
  return {
    ...flight,
    ...(waiting === undefined ? {} : { waiting: { ...waiting, prompt: '', choices: [] } }),
    ...(error === undefined ? {} : { error: { code: error.code, message: hiddenWords } }),
  };
}

export function deliveryStates({ failureDetail: _words, ...rest }: Delivery): Delivery {
  return rest;
}

/** All that a fact tells besides what happened, where and when. Its `why` may name places and quote another node's words. */
const factStates: ReadonlySet<string> = new Set(['attempt', 'run', 'state', 'reason', 'error', 'exitCode', 'signal', 'target', 'caller', 'by', 'request', 'reply', 'as', 'matches']);

/** Of an invocation; undefined for a fact of the node itself, which is its person's. */
export function factOfStates(fact: Fact): Fact | undefined {
  if (fact.invocationId === undefined) return undefined;
  return { ...fact, detail: Object.fromEntries(Object.entries(fact.detail).filter(([name]) => factStates.has(name))) };
}

/** Numbers and states as they are; of each flight that it names only that it is there. */
export function reportOfStates(report: NodeReport): NodeReport {
  const { undelivered, dead, indeterminate, waiting, owing, slow } = report;
  const backlog = <Of extends { readonly oldest?: TroubledFlight }>(of: Of): Of => (of.oldest === undefined ? of : { ...of, oldest: silent(of.oldest) });
  const troubled = <Of extends { readonly newest: readonly TroubledFlight[] }>(of: Of): Of => ({ ...of, newest: of.newest.map(silent) });
  return {
    ...report,
    ...{ undelivered: backlog(undelivered), waiting: backlog(waiting), dead: troubled(dead), indeterminate: troubled(indeterminate), slow },
    owing: owing.map((each): Owing => ({ ...each, undelivered: backlog(each.undelivered) })),
  };
}

function silent(flight: TroubledFlight): TroubledFlight {
  return { ...flight, why: '' };
}
