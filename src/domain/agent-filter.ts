/** Which of the known instances somebody wants to see. */
import type { Candidate } from './candidate.ts';
import { parseAddress, shellAddress } from './address.ts';

/** What is left out is any. */
export interface AgentFilter {
  /** Name or id. */
  readonly node?: string;
  /** Of the agent's name, or of the address in either form where it has one of `@ # /`; `*` is any run of characters, `?` is one. */
  readonly pattern?: string;
  readonly harness?: string;
  /** All of these must be there. */
  readonly capabilities?: readonly string[];
  /** All of these must be equal. */
  readonly labels?: Readonly<Record<string, string>>;
  /** Owner identity of its node. */
  readonly owner?: string;
  /** By the last word of its node, which has not gone for good. */
  readonly availableOnly?: boolean;
}

/** Nothing that is held for these would be carried out. */
const unable: readonly Candidate['nodeState'][] = ['left', 'removed', 'incompatible'];

export function agentFilter(filter: AgentFilter): (agent: Candidate) => boolean {
  const { node, pattern, harness, capabilities = [], labels = {}, owner, availableOnly = false } = filter;
  const isNamed = pattern === undefined ? undefined : namedLike(pattern);
  return (agent) =>
    (node === undefined || agent.nodeName === node || agent.nodeId === node)
    && (harness === undefined || agent.harness === harness)
    && (owner === undefined || agent.owner === owner)
    && (!availableOnly || (agent.available && !unable.includes(agent.nodeState)))
    && capabilities.every((each) => agent.capabilities.includes(each))
    && Object.entries(labels).every(([key, value]) => Object.hasOwn(agent.labels, key) && agent.labels[key] === value)
    && (isNamed === undefined || isNamed(agent));
}

function namedLike(pattern: string): (agent: Candidate) => boolean {
  if (!/[@#/]/.test(pattern)) return ({ agent }) => isLike(agent, pattern.toLowerCase());
  return ({ address }) => isLike(address, pattern) || isLike(shellAddress(parseAddress(address)), pattern);
}

/** Never more steps than the product of both lengths, whatever the pattern: after Kernighan, going back to the last `*` only. */
function isLike(text: string, pattern: string): boolean {
  let [at, inPattern, star, mark] = [0, 0, -1, 0];
  while (at < text.length) {
    const wanted = pattern[inPattern];
    if (wanted === '*') [star, mark, inPattern] = [inPattern, at, inPattern + 1];
    else if (wanted === '?' || wanted === text[at]) [at, inPattern] = [at + 1, inPattern + 1];
    else if (star >= 0) [mark, at, inPattern] = [mark + 1, mark + 1, star + 1];
    else return false;
  }
  return /^\**$/.test(pattern.slice(inPattern));
}
