/** With whom beside its own person an agent is shared: for the verb `invoke`, on its own node, which decides. */
import { BrokerError, invalid, notFound } from './errors.ts';
import { isNodeId } from './ids.ts';
import type { NodeId } from './ids.ts';
import { fewOf, nearestNames } from './nearest.ts';
import { quoted } from './text.ts';

/** A person is an owner identity. A node is kept by its id, so that nobody else comes to its share by its name. */
export type Share =
  | { readonly with: 'all' }
  | { readonly with: 'person'; readonly name: string }
  | { readonly with: 'node'; readonly nodeId: NodeId };

/** The same for people, with the node's name. */
export type ShareView =
  | { readonly with: 'all' }
  | { readonly with: 'person'; readonly name: string }
  | { readonly with: 'node'; readonly name: string; readonly nodeId: NodeId };

const longestPerson = 200;
const howToSay = 'to say which: --with person:NAME or --with node:NAME';

/** Two columns that name it: what it is with, and who. */
export function partsOfShare(share: Share): readonly [Share['with'], string] {
  switch (share.with) {
    case 'all':
      return ['all', ''];
    case 'person':
      return ['person', share.name];
    case 'node':
      return ['node', share.nodeId];
  }
}

export function shareOfParts(kind: Share['with'], who: string): Share {
  switch (kind) {
    case 'all':
      return { with: 'all' };
    case 'person':
      return { with: 'person', name: who };
    case 'node':
      return { with: 'node', nodeId: who as NodeId };
  }
}

export function isSameShare(a: Share, b: Share): boolean {
  const [[kind, who], [otherKind, otherWho]] = [partsOfShare(a), partsOfShare(b)];
  return kind === otherKind && who === otherWho;
}

/** `all members`, `bob`, `the node studio`. */
export function wordsOfShare(view: ShareView): string {
  switch (view.with) {
    case 'all':
      return 'all members';
    case 'person':
      return view.name;
    case 'node':
      return `the node ${view.name}`;
  }
}

/**
 * What a person typed behind `--with`, among those who could be meant: an owner identity, a node's name or id;
 * `person:` and `node:` say which when a text is both.
 * @throws BrokerError `not_found` with what is near, `ambiguous`, `invalid`
 */
export function partyOf(text: string, known: readonly ShareView[]): Share {
  const [, kind, name = text] = /^(person|node):(.*)$/s.exec(text) ?? [];
  if (name === '') throw invalid('--with names a person or a node', 'leave it out for all members');
  if (name.length > longestPerson) throw invalid(`an owner identity has at most ${longestPerson} characters`);
  const persons = known.filter((each) => each.with === 'person' && each.name === name);
  const nodes = known.flatMap((each) => (each.with === 'node' && (isNodeId(name) ? each.nodeId === name : each.name === name.toLowerCase()) ? [each] : []));
  const isPerson = persons.length > 0 || kind === 'person';
  if (kind !== 'node' && isPerson && (kind === 'person' || nodes.length === 0)) return { with: 'person', name };
  if (kind === undefined && isPerson) throw new BrokerError('ambiguous', `${quoted(name)} is a person and a node`, { hint: howToSay });
  const [node, second] = nodes;
  if (node !== undefined && second !== undefined) {
    throw new BrokerError('ambiguous', `several nodes are called ${name}`, { hint: `give the id of one: ${nodes.map((each) => each.nodeId).join(', ')}` });
  }
  if (node !== undefined) return { with: 'node', nodeId: node.nodeId };
  throw notFound(`${quoted(name)} is ${kind === 'node' ? 'no node' : 'neither a person nor a node'} that is known here`, nearHint(name, known));
}

function nearHint(name: string, known: readonly ShareView[]): string {
  const names = [...new Set(known.flatMap((each) => (each.with === 'all' ? [] : each.name)))].toSorted();
  const near = nearestNames(name, names);
  if (near.length > 0) return `did you mean ${near.join(' or ')}?`;
  return names.length === 0 ? 'see who is there: beckon mesh members' : `known: ${fewOf(names)}; somebody who is not there yet: --with person:NAME`;
}
