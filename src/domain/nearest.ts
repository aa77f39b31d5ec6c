/** What a person may have meant: the known names and addresses closest to what was typed. */
import { distance } from 'fastest-levenshtein';
import { parseAddress } from './address.ts';
import type { Address } from './address.ts';

const most = 5;

/** Part distances count so: the wrong agent is worse than the wrong node, that worse than the wrong workspace. */
const weight = { agent: 9, node: 3, workspace: 1 } as const;

export interface NearestOptions {
  readonly limit?: number;
  /** Leave out the cut-off: the closest ones, however far. */
  readonly anyDistance?: boolean;
}

/**
 * At most 5 of `known` (canonical addresses), nearest first, ties in text order. An address is near when its agent's
 * name is (a few typing errors, or the one begins the other), or when node and workspace are exactly as wanted.
 */
export function nearestAddresses(wanted: Address, known: readonly string[], options: NearestOptions = {}): string[] {
  const ranked: { address: string; score: number }[] = [];
  for (const address of new Set(known)) {
    const other = parseAddress(address);
    if (options.anyDistance === true || isNear(wanted, other)) ranked.push({ address, score: score(wanted, other) });
  }
  ranked.sort((a, b) => a.score - b.score || (a.address < b.address ? -1 : 1));
  return ranked.slice(0, options.limit ?? most).map((each) => each.address);
}

/** At most 5 of `known` names within a few typing errors of `wanted`, nearest first, ties in text order. */
export function nearestNames(wanted: string, known: readonly string[], limit = most): string[] {
  return [...new Set(known)]
    .map((name) => ({ name, far: apart(wanted, name) }))
    .filter(({ name, far }) => far <= tolerance(wanted, name))
    .toSorted((a, b) => a.far - b.far || (a.name < b.name ? -1 : 1))
    .slice(0, limit)
    .map((each) => each.name);
}

/** The first 8 for a hint, and how many more there are. */
export function fewOf(names: readonly string[]): string {
  const few = 8;
  return names.length <= few ? names.join(', ') : `${names.slice(0, few).join(', ')} and ${names.length - few} more`;
}

function isNear(wanted: Address, other: Address): boolean {
  if (apart(wanted.agent, other.agent) <= tolerance(wanted.agent, other.agent)) return true;
  return wanted.node !== undefined && wanted.workspace !== undefined
    && wanted.node === other.node && wanted.workspace === other.workspace;
}

function score(wanted: Address, other: Address): number {
  let sum = weight.agent * apart(wanted.agent, other.agent);
  if (wanted.node !== undefined) sum += weight.node * apart(wanted.node, other.node ?? '');
  if (wanted.workspace !== undefined) sum += weight.workspace * apart(wanted.workspace, other.workspace ?? '');
  return sum;
}

/** Edit distance, but 1 for a beginning of the other (`fab` for `fabric`) and a half for a difference of case only. */
function apart(a: string, b: string): number {
  if (a === b) return 0;
  const [low, other] = [a.toLowerCase(), b.toLowerCase()];
  if (low === other) return 0.5;
  const shorter = Math.min(low.length, other.length);
  if (shorter >= 2 && (low.startsWith(other) || other.startsWith(low))) return 1;
  return distance(low, other);
}

/** One error in three characters, at least one: `fabirc` is near `fabric`, `cat` is not near `dog`. */
function tolerance(a: string, b: string): number {
  return Math.max(1, Math.floor(Math.min(a.length, b.length) / 3));
}
