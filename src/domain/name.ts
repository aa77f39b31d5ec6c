/** Names of agents and nodes: 1 to 40 of `a-z 0-9 . _ -`, alphanumeric at both ends, never like a node id. */
import { invalid } from './errors.ts';
import type { BrokerError } from './errors.ts';
import { isNodeId } from './ids.ts';
import type { NodeId } from './ids.ts';
import { quoted } from './text.ts';
import { columnOf } from './workspace.ts';
import type { Fault } from './workspace.ts';

export const longestName = 40;
export const nodeIdStart = 'k51';

type ReadName = { readonly name: string } | { readonly fault: Fault };

/** The name in lower case, or the leftmost fault. Only ASCII is folded: other letters have no place in a name. */
export function readName(text: string, what = 'name'): ReadName {
  if (text === '') return fault(0, `the ${what} is missing`);
  const foreign = /[^A-Za-z0-9._-]+/u.exec(text);
  const legalLength = foreign?.index ?? text.length;
  if (legalLength > 0 && !isAlphanumeric(text.charAt(0))) return fault(0, 'a name starts with a letter or digit');
  if (legalLength > longestName) return fault(longestName, `a name has at most ${longestName} characters`);
  if (foreign !== null) return fault(foreign.index, `a name can't contain ${quoted(foreign[0], 10)}`);
  if (!isAlphanumeric(text.charAt(text.length - 1))) return fault(text.length - 1, 'a name ends with a letter or digit');
  const name = text.toLowerCase();
  if (name.startsWith(nodeIdStart)) return fault(0, `a name can't start with ${nodeIdStart}, as node ids do`);
  return { name };
}

/** A node by name or id, in lower case, or the leftmost fault. */
export function readNode(text: string): { readonly node: string } | { readonly fault: Fault } {
  if (/^k51/i.test(text)) {
    const id = /^[A-Za-z0-9]+$/.test(text) ? text.toLowerCase() : text;
    if (isNodeId(id)) return { node: id };
    const foreign = /[^A-Za-z0-9]/u.exec(text);
    if (foreign !== null) return fault(foreign.index, `a node id can't contain ${quoted(foreign[0])}`);
    return fault(0, 'what starts with k51 is a node id, and this is not a whole one (62 characters)');
  }
  const read = readName(text, 'node');
  return 'name' in read ? { node: read.name } : read;
}

/** @throws BrokerError `invalid` with column and reason */
export function parseName(text: string): string {
  const read = readName(text);
  if ('name' in read) return read.name;
  throw badName('name', text, read.fault);
}

export type NodeRef =
  | { readonly kind: 'name'; readonly name: string }
  | { readonly kind: 'id'; readonly nodeId: NodeId };

/** A node as a person names it. @throws BrokerError `invalid` with column and reason */
export function parseNodeRef(text: string): NodeRef {
  const read = readNode(text);
  if ('fault' in read) throw badName('node', text, read.fault);
  return isNodeId(read.node) ? { kind: 'id', nodeId: read.node } : { kind: 'name', name: read.node };
}

/** A legal name that resembles a directory or host name, or undefined when nothing of it is left. */
export function nameFrom(raw: string): string | undefined {
  const plain = raw
    .slice(0, 1000)
    .normalize('NFKD')
    .replace(/\p{M}+/gu, '')
    .replace(/[A-Z]/g, (letter) => letter.toLowerCase())
    .replace(/[^a-z0-9._-]+/gu, '-')
    .replace(/-{2,}/g, '-')
    .replace(/^[^a-z0-9]+/, '');
  const safe = plain.startsWith(nodeIdStart) ? `n-${plain}` : plain;
  const name = safe.slice(0, longestName).replace(/[^a-z0-9]+$/, '');
  return name === '' ? undefined : name;
}

function isAlphanumeric(character: string): boolean {
  return /^[A-Za-z0-9]$/.test(character);
}

function badName(what: string, text: string, { at, why }: Fault): BrokerError {
  const better = nameFrom(text);
  const hint = better === undefined ? 'a name looks like laptop or fabric-2' : `try ${better}`;
  return invalid(`${quoted(text)} is not a ${what}: column ${columnOf(text, at)}: ${why}`, hint);
}

function fault(at: number, why: string): { readonly fault: Fault } {
  return { fault: { at, why } };
}
