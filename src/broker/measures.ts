/** What a node's core counts of the work that is asked of it: closed lists, so that nobody who asks makes a new one. */
import type { FailureReason } from '../domain/delivery.ts';
import { errorCodes, toBrokerError } from '../domain/errors.ts';
import type { ErrorCode } from '../domain/errors.ts';
import { limitNames } from '../domain/limits.ts';
import type { OverLimit } from '../domain/limits.ts';
import { Counts, Distribution, secondBounds } from '../domain/measure.ts';
import type { Clock } from '../domain/ports.ts';
import type { AcceptedFlight, AcceptedGroup } from './api.ts';

/** An invocation of a local caller: stored, known by its key, or why not. */
export type AcceptOutcome = 'accepted' | 'deduplicated' | ErrorCode;
/** One that a peer brought: stored, known from before, cancelled before it came, put off as this node goes down, or why it was refused. */
export type ForwardOutcome = 'received' | 'known' | 'cancelled_before' | 'draining' | FailureReason;

/** What another node told of itself, or of others: new, known, older than what is known, not to be had yet, of no member, over the limit, or untrue. */
export type NewsOutcome = 'applied' | 'known' | 'stale' | 'behind' | 'unknown' | 'limited' | 'refused';

export class BrokerMeasures {
  readonly accepts = new Counts<AcceptOutcome>(['accepted', 'deduplicated', ...errorCodes]);
  /** From the request to its commit, seconds; of those that were accepted. */
  readonly acceptSeconds = new Distribution(secondBounds);
  /** Lists of agents, by whichever way they came. */
  readonly registryNews = new Counts<NewsOutcome>(['applied', 'known', 'stale', 'behind', 'unknown', 'limited', 'refused']);
  readonly forwards = new Counts<ForwardOutcome>(['received', 'known', 'cancelled_before', 'draining', 'denied', 'agent_offline', 'peer_rejected', 'overload']);
  /** What was refused because a limit was reached, in all parts of the node. */
  readonly refused = new Counts(limitNames);
  readonly onOverLimit: OverLimit = (limit) => this.refused.add(limit);
}

/** Counts how a request ends: of a group each of its flights, but one refusal. */
export async function measured<Accepted extends AcceptedFlight | AcceptedGroup>({ accepts, acceptSeconds }: BrokerMeasures, clock: Clock, accept: () => Promise<Accepted>): Promise<Accepted> {
  const beganAtMs = clock.monotonic();
  try {
    const accepted = await accept();
    accepts.add(accepted.deduplicated ? 'deduplicated' : 'accepted', 'flights' in accepted ? accepted.flights.length : 1);
    if (!accepted.deduplicated) acceptSeconds.observe((clock.monotonic() - beganAtMs) / 1000);
    return accepted;
  } catch (thrown) {
    accepts.add(toBrokerError(thrown).code);
    throw thrown;
  }
}
