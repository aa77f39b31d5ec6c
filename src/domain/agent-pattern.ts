/**
 * Which agents a rule speaks of: an address in which `*` stands for any characters of its part, and a part that is left
 * out for all: `deploy`, `release-*`, `fabric@laptop`, `deploy/hotfix/*`. Compared with canonical addresses, so that no
 * other spelling of an agent gets past a rule.
 */
import { BrokerError } from './errors.ts';
import { isNodeId } from './ids.ts';
import type { NodeId } from './ids.ts';
import { longestName, nodeIdStart } from './name.ts';
import { quoted } from './text.ts';
import { readWorkspace } from './workspace.ts';

export interface AgentPattern {
  /** As it is shown. */
  readonly text: string;
  readonly agent: string;
  /** A pattern of names, or a node id. */
  readonly node?: string;
  readonly workspace?: string;
}

/** An agent as patterns see it: its canonical address in parts, and the id of its node. */
export interface PatternTarget {
  readonly agent: string;
  readonly node: string;
  readonly nodeId: NodeId;
  readonly workspace: string;
}

const example = 'for example deploy, release-*, fabric@laptop or deploy/hotfix/*';

/** @throws BrokerError `invalid` with the reason */
export function parseAgentPattern(text: string): AgentPattern {
  const bare = text.startsWith('@') ? text.slice(1) : text;
  const separator = bare.search(/[#/]/);
  const [head, rest] = separator < 0 ? [bare, undefined] : [bare.slice(0, separator), bare.slice(separator + 1)];
  const [agentPart = '', nodePart, ...more] = head.split('@');
  if (more.length > 0) throw wrong(text, 'it has one node, after one @');
  const agent = namePattern(text, agentPart, 'agent');
  const node = nodePart === undefined ? undefined : isNodeId(nodePart) ? nodePart : namePattern(text, nodePart, 'node');
  const workspace = rest === undefined ? undefined : workspacePattern(text, rest);
  const shown = `${agent}${node === undefined ? '' : `@${node}`}${workspace === undefined ? '' : `/${workspace}`}`;
  return { text: shown, agent, ...(node === undefined ? {} : { node }), ...(workspace === undefined ? {} : { workspace }) };
}

export function coversAgent(pattern: AgentPattern, target: PatternTarget): boolean {
  const { agent, node, workspace } = pattern;
  if (!matches(agent, target.agent)) return false;
  if (node !== undefined && !(isNodeId(node) ? node === target.nodeId : matches(node, target.node))) return false;
  return workspace === undefined || matches(workspace, target.workspace);
}

/**
 * Whether a text fits a pattern whose only wildcard is `*`. Takes time in proportion to the product of their lengths at
 * most: one place to go back to is enough, since what an earlier `*` could still take a later one can, too.
 */
export function matches(pattern: string, text: string): boolean {
  let [at, seen, star, mark] = [0, 0, -1, 0];
  while (seen < text.length) {
    if (pattern[at] === '*') {
      [star, mark] = [at, seen];
      at += 1;
    } else if (at < pattern.length && pattern[at] === text[seen]) {
      at += 1;
      seen += 1;
    } else if (star >= 0) {
      mark += 1;
      [at, seen] = [star + 1, mark];
    } else return false;
  }
  while (pattern[at] === '*') at += 1;
  return at === pattern.length;
}

function namePattern(text: string, part: string, what: string): string {
  const name = part.toLowerCase();
  if (part === '') throw wrong(text, `the ${what} is missing: write * for all`);
  if (!/^[A-Za-z0-9._*-]+$/.test(part)) throw wrong(text, `the name of ${what === 'agent' ? 'an agent' : 'a node'} has letters, digits, and . _ - alone, and * stands for any of them`);
  if (part.length > longestName) throw wrong(text, `a name has at most ${longestName} characters`);
  if (/^[._-]|[._-]$/.test(name)) throw wrong(text, 'a name starts and ends with a letter or digit');
  if (name.startsWith(nodeIdStart)) throw wrong(text, `what starts with ${nodeIdStart} is a node id, and ${what === 'node' ? 'this is not a whole one' : 'an agent has none'}`);
  return name;
}

/** Its literal pieces in their canonical spelling: a `*` that is part of a workspace's name is written `%2A`. */
function workspacePattern(text: string, part: string): string {
  if (part === '') throw wrong(text, 'the workspace is missing: leave it out, with its separator, for all');
  const pieces = part.split('*').map((piece) => {
    if (piece === '') return '';
    const read = readWorkspace(piece);
    if ('fault' in read) throw wrong(text, read.fault.why);
    return read.workspace;
  });
  return pieces.join('*');
}

function wrong(text: string, why: string): BrokerError {
  return new BrokerError('invalid', `${quoted(text)} is no pattern of agents: ${why}`, { hint: example });
}
