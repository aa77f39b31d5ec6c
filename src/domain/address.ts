/**
 * Addresses of agent instances.
 *
 *     address   = ["@"] agent [ "@" node ] [ ( "#" / "/" ) workspace ]
 *     agent     = name                 node = name / node-id
 *     name      = 1*40( a-z 0-9 . _ - ), starts and ends alphanumeric, folded to lower case, not starting with "k51"
 *     workspace = 1*200( A-Z a-z 0-9 . _ - / or %XX of a UTF-8 byte ), case kept
 *
 * One parser and one formatter: `parseAddress(formatAddress(a))` equals `a` for every address that was parsed.
 */
import { BrokerError } from './errors.ts';
import { nameFrom, readName, readNode } from './name.ts';
import { quoted } from './text.ts';
import { columnOf, encodeWorkspace, readWorkspace } from './workspace.ts';

export { nameFrom, parseName, parseNodeRef } from './name.ts';
export type { NodeRef } from './name.ts';
export { decodeWorkspace, encodeWorkspace, parseWorkspace } from './workspace.ts';

export interface Address {
  readonly agent: string;
  /** A node name, or a node id (`k51…`). */
  readonly node?: string;
  /** In its canonical spelling. */
  readonly workspace?: string;
}

export interface FullAddress extends Address {
  readonly node: string;
  readonly workspace: string;
}

const example = 'an address looks like fabric@laptop/feature-x';

/** @throws BrokerError `invalid` with the column (1-based) and the reason, and a corrected address as hint */
export function parseAddress(text: string): Address {
  const parts = cutUp(text);
  const fail = (start: number, fault: { at: number; why: string }): BrokerError => badAddress(text, start + fault.at, fault.why);

  const agent = readName(parts.agent, 'agent');
  if ('fault' in agent) throw fail(parts.agentAt, agent.fault);

  let node: string | undefined;
  if (parts.node !== undefined) {
    const again = parts.node.indexOf('@');
    const read = readNode(parts.node);
    if ('fault' in read) {
      const isSecondNode = read.fault.at === again;
      throw fail(parts.nodeAt, isSecondNode ? { at: again, why: 'an address has one node, after one @' } : read.fault);
    }
    node = read.node;
  }

  let workspace: string | undefined;
  if (parts.workspace !== undefined) {
    const read = readWorkspace(parts.workspace);
    if ('fault' in read) throw fail(parts.workspaceAt, read.fault);
    workspace = read.workspace;
  }
  return make(agent.name, node, workspace);
}

/** The canonical form, which is stored, shown and compared: `@fabric@laptop#feature-x`. */
export function formatAddress({ agent, node, workspace }: Address): string {
  return `@${agent}${node === undefined ? '' : `@${node}`}${workspace === undefined ? '' : `#${workspace}`}`;
}

/**
 * The form that bash, zsh and fish pass on unquoted: `fabric@laptop/feature-x`. It starts with a letter or digit, so
 * that neither `=`, `~`, `-` nor a job number is seen, and `#`, a pattern in zsh with EXTENDED_GLOB, is not in it.
 */
export function shellAddress({ agent, node, workspace }: Address): string {
  return `${agent}${node === undefined ? '' : `@${node}`}${workspace === undefined ? '' : `/${workspace}`}`;
}

export function isFullyQualified(address: Address): address is FullAddress {
  return address.node !== undefined && address.workspace !== undefined;
}

interface Parts {
  readonly agent: string;
  readonly agentAt: number;
  readonly node: string | undefined;
  readonly nodeAt: number;
  readonly workspace: string | undefined;
  readonly workspaceAt: number;
}

function cutUp(text: string): Parts {
  const agentAt = text.startsWith('@') ? 1 : 0;
  const separator = text.slice(agentAt).search(/[#/]/);
  const headEnd = separator < 0 ? text.length : agentAt + separator;
  const head = text.slice(agentAt, headEnd);
  const at = head.indexOf('@');
  return {
    agent: at < 0 ? head : head.slice(0, at),
    agentAt,
    node: at < 0 ? undefined : head.slice(at + 1),
    nodeAt: agentAt + at + 1,
    workspace: separator < 0 ? undefined : text.slice(headEnd + 1),
    workspaceAt: headEnd + 1,
  };
}

function make(agent: string, node: string | undefined, workspace: string | undefined): Address {
  return { agent, ...(node === undefined ? {} : { node }), ...(workspace === undefined ? {} : { workspace }) };
}

function badAddress(text: string, at: number, why: string): BrokerError {
  const column = columnOf(text, at);
  const better = correct(text);
  return new BrokerError('invalid', `${quoted(text)} is not an address: column ${column}: ${why}`, {
    hint: better === undefined ? example : `try ${better}`,
    detail: { column: String(column) },
  });
}

/** The nearest legal address in shell form, or undefined when a part can't be guessed. */
function correct(text: string): string | undefined {
  const parts = cutUp(text);
  const agent = nameFrom(parts.agent);
  const node = parts.node === undefined ? undefined : correctNode(parts.node);
  if (agent === undefined || (parts.node !== undefined && node === undefined)) return undefined;
  if (parts.workspace === undefined || parts.workspace === '') return shellAddress(make(agent, node, undefined));
  const workspace = correctWorkspace(parts.workspace);
  return workspace === undefined ? undefined : shellAddress(make(agent, node, workspace));
}

function correctNode(text: string): string | undefined {
  const read = readNode(text);
  if ('node' in read) return read.node;
  // A node id is never guessed: another one would be another machine.
  return /^k51/i.test(text) ? undefined : nameFrom(text);
}

function correctWorkspace(text: string): string | undefined {
  const read = readWorkspace(text);
  if ('workspace' in read) return read.workspace;
  try {
    return encodeWorkspace(text);
  } catch (thrown) {
    if (thrown instanceof BrokerError) return undefined;
    throw thrown;
  }
}

/** The same instance, as it is called when its node is called `node`. @throws BrokerError as `parseAddress` does */
export function onNode(address: string, node: string): string {
  return formatAddress({ ...parseAddress(address), node });
}
