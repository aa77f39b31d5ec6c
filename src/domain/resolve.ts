/**
 * From an address, whole or in part, to the instances it means. Pure: what is known comes in, a choice and its reasons
 * come out. Nothing is stripped from an address and retried.
 */
import { formatAddress, isFullyQualified } from './address.ts';
import type { Candidate, Explained, Here, PassedOver, Resolution, ResolveQuery } from './candidate.ts';
import { invalid } from './errors.ts';
import type { BrokerError } from './errors.ts';
import { isNodeId } from './ids.ts';
import { ambiguousError, notFoundError, nothingHereError } from './resolve-errors.ts';
import { quoted } from './text.ts';

export type { Candidate, Explained, Here, Resolution, ResolveQuery } from './candidate.ts';

/** Without a node in the address, nodes not heard of for longer are passed over. */
export const unseenLimitMs = 7 * 24 * 60 * 60 * 1000;

/** Of the words of others, what is shown as it is. */
const plain = /^[\x20-\x7e]{1,60}$/;

/**
 * `ok` with at least one target, or an error: `not_found` with the nearest addresses, `ambiguous` with the matches,
 * `invalid` for a query that contradicts itself. `explained` speaks of every instance of the wanted agent, in address
 * order. Whether a target is available or reachable is not asked here, except that `any` prefers those that are.
 */
export function resolve(query: ResolveQuery, candidates: readonly Candidate[], here: Here): Resolution {
  if (query.any === true && query.all === true) return contradiction;
  const matches: Candidate[] = [];
  const passed: PassedOver[] = [];
  for (const candidate of candidates.toSorted(byAddress)) {
    if (candidate.agent !== query.address.agent) continue;
    const over = passOver(query, candidate, here);
    if (over === undefined) matches.push(candidate);
    else passed.push({ candidate, ...over });
  }
  if (matches.length === 0) {
    return { ok: false, error: notFoundError(query, candidates.filter((each) => !isGone(each)), passed), explained: explain(passed) };
  }
  const only = isFullyQualified(query.address) ? 'exactly this instance' : 'the only match';
  return chosen(choose(query, matches, here, only), { matches, passed, several: () => ambiguousError(formatAddress(query.address), matches) });
}

/**
 * `.`: what works in the caller's directory on this node, or in the nearest one around it (`inside`); `outside` are those
 * of directories further out. Filters, `any`, `all` and the default workspace hold as for an address.
 */
export function resolveHere(query: Omit<ResolveQuery, 'address'>, directory: string, { inside, outside }: Record<'inside' | 'outside', readonly Candidate[]>, here: Here): Resolution {
  if (query.any === true && query.all === true) return contradiction;
  const passed: PassedOver[] = outside.map((candidate) => ({ candidate, rule: 'further_out', why: 'another agent works nearer to this directory' }));
  const matches: Candidate[] = [];
  for (const candidate of inside.toSorted(byAddress)) {
    const lacks = filteredOut(query, candidate);
    if (lacks === undefined) matches.push(candidate);
    else passed.push({ candidate, rule: 'filter', why: lacks });
  }
  if (matches.length === 0) return { ok: false, error: nothingHereError(directory, passed), explained: explain(passed) };
  return chosen(choose(query, matches, here, 'works in this directory'), { matches, passed, several: () => ambiguousError(directory, matches) });
}

const contradiction: Resolution = { ok: false, error: invalid('--any chooses one and --all chooses every match: give one of them'), explained: [] };

function chosen({ targets, why, whyNot }: Choice, of: { readonly matches: readonly Candidate[]; readonly passed: readonly PassedOver[]; readonly several: () => BrokerError }): Resolution {
  const explained = explain(of.passed, of.matches, (candidate) => ({
    chosen: targets.includes(candidate),
    why: withAvailability(candidate, targets.includes(candidate) ? why : whyNot(candidate)),
  }));
  return targets.length === 0 ? { ok: false, error: of.several(), explained } : { ok: true, targets, explained };
}

function passOver(query: ResolveQuery, candidate: Candidate, here: Here): Omit<PassedOver, 'candidate'> | undefined {
  const { node, workspace } = query.address;
  if (node !== undefined) {
    const isMeant = isNodeId(node) ? candidate.nodeId === node : candidate.nodeName === node;
    if (!isMeant) return { rule: 'other_node', why: 'on another node' };
    if (!isNodeId(node) && !candidate.nodeNameOwned) {
      return { rule: 'name_not_owned', why: `another node holds the name ${node}: address this one by its node id` };
    }
  }
  if (workspace !== undefined && candidate.workspace !== workspace) return { rule: 'other_workspace', why: 'another workspace' };
  if (isGone(candidate)) {
    return { rule: 'gone', why: candidate.nodeState === 'left' ? 'its node left the mesh' : 'its node was removed from the mesh' };
  }
  if (node === undefined) {
    if (query.anyOwner !== true && candidate.owner !== here.owner) {
      return { rule: 'other_owner', why: `belongs to ${candidate.owner}: name its node, or use --any-owner` };
    }
    if (!isHere(candidate, here) && here.nowMs - candidate.lastSeenMs > unseenLimitMs) {
      return { rule: 'unseen', why: 'its node was not seen for 7 days: name the node to mean it' };
    }
  }
  const lacks = filteredOut(query, candidate);
  return lacks === undefined ? undefined : { rule: 'filter', why: lacks };
}

function isGone({ nodeState }: Candidate): boolean {
  return nodeState === 'left' || nodeState === 'removed';
}

function filteredOut(query: Omit<ResolveQuery, 'address'>, candidate: Candidate): string | undefined {
  if (query.harness !== undefined && candidate.harness !== query.harness) return `its harness is ${candidate.harness}`;
  const capability = query.capabilities?.find((each) => !candidate.capabilities.includes(each));
  if (capability !== undefined) return `lacks the capability ${capability}`;
  for (const [key, value] of Object.entries(query.labels ?? {})) {
    const actual = Object.hasOwn(candidate.labels, key) ? candidate.labels[key] : undefined;
    if (actual !== value) return actual === undefined ? `has no label ${key}` : `its label ${key} is ${plain.test(actual) ? actual : quoted(actual)}`;
  }
  return undefined;
}

/** It does not decide which instance an address means, but whether that can be invoked. */
function withAvailability({ available, unavailableWhy }: Candidate, why: string): string {
  if (available) return why;
  const not = unavailableWhy === undefined ? 'not available' : `not available: ${unavailableWhy}`;
  return why === '' ? not : `${why}; ${not}`;
}

interface Choice {
  readonly targets: readonly Candidate[];
  readonly why: string;
  readonly whyNot: (match: Candidate) => string;
}

/** The rules in their order; the first that chooses ends it. @param only why, when there is but one match */
function choose(query: Omit<ResolveQuery, 'address'>, matches: readonly Candidate[], here: Here, only: string): Choice {
  const none = (): string => '';
  if (query.all === true) return { targets: matches, why: 'matches, and all matches were asked for', whyNot: none };
  const [first] = matches;
  if (matches.length === 1 && first !== undefined) {
    return { targets: [first], why: only, whyNot: none };
  }
  if (query.any === true) {
    const [best] = matches.toSorted(byPreference(here));
    if (best !== undefined) return { targets: [best], why: 'the best of the matches', whyNot: (match) => `matches, but ${best.address} ${betterBy(best, match, here)}` };
  }
  const local = matches.filter((each) => isHere(each, here));
  if (local.length === 1) return { targets: local, why: 'the only match on this node', whyNot: () => 'matches, but one on this node comes first' };
  const defaults = matches.filter((each) => each.isDefault);
  if (defaults.length === 1) {
    return { targets: defaults, why: 'its workspace is the default one', whyNot: () => 'matches, but the default workspace comes first' };
  }
  return { targets: [], why: '', whyNot: () => 'one of several matches' };
}

function isHere(candidate: Candidate, here: Here): boolean {
  return candidate.nodeId === here.nodeId;
}

/** 2: is there; 1: is there as far as is known, and no link was needed with it; 0: is not, or can't run it. */
function liveness(candidate: Candidate, here: Here): number {
  if (!candidate.available) return 0;
  if (isHere(candidate, here) || candidate.nodeState === 'alive') return 2;
  return candidate.nodeState === 'discovered' ? 1 : 0;
}

/** What `any` goes by, in its order: negative where `a` is better. Unknown load or round trip comes after every known one. */
const preferences: readonly { readonly compare: (a: Candidate, b: Candidate, here: Here) => number; readonly words: string }[] = [
  { compare: (a, b, here) => liveness(b, here) - liveness(a, here), words: 'is live and this one is not' },
  { compare: (a, b, here) => Number(isHere(b, here)) - Number(isHere(a, here)), words: 'is on this node' },
  { compare: (a, b) => (a.busy ?? Number.MAX_VALUE) - (b.busy ?? Number.MAX_VALUE), words: 'is less busy' },
  { compare: (a, b, here) => roundTrip(a, here) - roundTrip(b, here), words: 'is closer' },
];

function roundTrip(each: Candidate, here: Here): number {
  return each.rttMs ?? (isHere(each, here) ? 0 : Number.MAX_VALUE);
}

/** The address makes the order total. */
function byPreference(here: Here): (a: Candidate, b: Candidate) => number {
  return (a, b) => preferences.map(({ compare }) => compare(a, b, here)).find((order) => order !== 0) ?? byAddress(a, b);
}

/** The first preference that tells them apart. */
function betterBy(best: Candidate, other: Candidate, here: Here): string {
  return preferences.find(({ compare }) => compare(best, other, here) < 0)?.words ?? 'comes first by its address';
}

function byAddress(a: Candidate, b: Candidate): number {
  return a.address < b.address ? -1 : a.address > b.address ? 1 : 0;
}

function explain(
  passed: readonly PassedOver[],
  matches: readonly Candidate[] = [],
  verdict: (match: Candidate) => Omit<Explained, 'address'> = () => ({ chosen: false, why: '' }),
): Explained[] {
  return [
    ...passed.map(({ candidate, why }) => ({ address: candidate.address, chosen: false, why })),
    ...matches.map((candidate) => ({ address: candidate.address, ...verdict(candidate) })),
  ].toSorted((a, b) => (a.address < b.address ? -1 : a.address > b.address ? 1 : 0));
}
