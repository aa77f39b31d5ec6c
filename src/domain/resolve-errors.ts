/** What resolution says when it has no answer: enough for the next try to succeed. */
import { formatAddress, parseAddress, shellAddress } from './address.ts';
import type { Candidate, PassedOver, ResolveQuery } from './candidate.ts';
import { BrokerError } from './errors.ts';
import type { ErrorCandidate } from './errors.ts';
import { nearestAddresses } from './nearest.ts';

const mostShown = 20;
const nearestShown = 5;
const farShown = 3;

/** `ambiguous` with the matches: those here first, then the most recently seen; 20 at most. @param what an address, or a directory */
export function ambiguousError(what: string, matches: readonly Candidate[]): BrokerError {
  const shown = matches.toSorted(
    (a, b) => Number(b.nodeState === 'here') - Number(a.nodeState === 'here') || b.lastSeenMs - a.lastSeenMs,
  );
  const [first] = shown;
  const paste = first === undefined ? '' : `, such as ${shellAddress(parseAddress(first.address))}`;
  return new BrokerError('ambiguous', `${what} means ${matches.length} instances`, {
    candidates: shown.slice(0, mostShown).map((each) => asErrorCandidate(each)),
    hint: `give one of them in full${paste}; or let --any choose one, or --all call each`,
  });
}

/**
 * `not_found` with up to 5 candidates: first the instances that only a rule left out, then the nearest addresses; when
 * none is near, the 3 closest all the same.
 */
export function notFoundError(query: ResolveQuery, all: readonly Candidate[], passed: readonly PassedOver[]): BrokerError {
  const wanted = formatAddress(query.address);
  const excluded = passed.filter(({ rule }) => rule !== 'other_node' && rule !== 'other_workspace');
  const byAddress = new Map(all.map((each) => [each.address, each]));
  const near = nearestAddresses(query.address, [...byAddress.keys()]);
  const shown = new Map<string, ErrorCandidate>();
  for (const { candidate, why } of excluded) shown.set(candidate.address, asErrorCandidate(candidate, why));
  const known = near.length > 0 || excluded.length > 0
    ? near
    : nearestAddresses(query.address, [...byAddress.keys()], { limit: farShown, anyDistance: true });
  for (const address of known) {
    const candidate = byAddress.get(address);
    if (candidate !== undefined && !shown.has(address)) shown.set(address, asErrorCandidate(candidate));
  }
  const [first] = excluded;
  const message = first === undefined ? `there is no ${wanted}` : `there is no ${wanted} to choose: ${first.candidate.address}: ${first.why}`;
  return new BrokerError('not_found', message, {
    candidates: [...shown.values()].slice(0, nearestShown),
    hint: notFoundHint(all, excluded, near),
  });
}

/** Nothing that was asked for works in that directory. */
export function nothingHereError(directory: string, passed: readonly PassedOver[]): BrokerError {
  const lacking = passed.filter(({ rule }) => rule === 'filter');
  const [first] = lacking;
  if (first === undefined) return new BrokerError('not_found', `no agent of this node works in ${directory}`, { hint: 'register one here: beckon agent add -- COMMAND' });
  return new BrokerError('not_found', `no agent of this node that works in ${directory} is the one to choose: ${first.candidate.address}: ${first.why}`, {
    candidates: lacking.slice(0, nearestShown).map(({ candidate, why }) => asErrorCandidate(candidate, why)),
    hint: 'leave the filters out, or see what works here: beckon resolve . --all',
  });
}

function notFoundHint(all: readonly Candidate[], excluded: readonly PassedOver[], near: readonly string[]): string {
  const reachable = excluded.find(({ rule }) => rule === 'other_owner' || rule === 'unseen' || rule === 'name_not_owned');
  const paste = reachable?.candidate.address ?? (excluded.length > 0 ? undefined : near[0]);
  if (paste !== undefined) return `did you mean ${shellAddress(parseAddress(paste))}`;
  return all.length === 0 ? 'no agent is known yet; to add one here: beckon agent add' : 'to see all: beckon agents';
}

function asErrorCandidate(candidate: Candidate, why: string | undefined = candidate.unavailableWhy): ErrorCandidate {
  return {
    address: candidate.address,
    state: candidate.nodeState,
    lastSeenMs: candidate.lastSeenMs,
    ...(why === undefined ? {} : { why }),
  };
}
