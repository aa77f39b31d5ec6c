/** The facts of one node for one reader of the merged stream: where it stands in them, whether it answers, when it is to be asked again. */
import { BrokerError, toBrokerError } from '../domain/errors.ts';
import type { NodeId } from '../domain/ids.ts';
import type { AnswerTo } from '../domain/messages.ts';
import type { ObservationQuery } from '../domain/observation.ts';

export type FactsQuery = Extract<ObservationQuery, { type: 'facts' }>;
export type FactsAnswer = AnswerTo<FactsQuery>;

/** @throws BrokerError with what keeps the node from answering */
export type AskForFacts = (query: Omit<FactsQuery, 'hlc'>) => Promise<FactsAnswer>;

/** Between two questions to a node that has nothing more now. */
const restMs = 500;
/** Until one that does not answer is tried again; one that may not tell, or can't, later. */
const retryMs = 2_000;
const refusedRetryMs = 60_000;
export const pageSize = 250;

export class TailSource {
  readonly nodeId: NodeId;
  readonly #ask: AskForFacts;
  readonly #sinceMs: number | undefined;
  #after: number | undefined;
  #isPastBeginning = false;
  /** Why nothing is told of it now. */
  away: string | undefined;
  /** All that there was when it was asked last is here. */
  isCaughtUp = false;
  isAsked = false;
  /** Monotonic ms. */
  dueMs = 0;
  knownUntilMs: number | undefined;

  constructor(nodeId: NodeId, ask: AskForFacts, sinceMs: number | undefined) {
    this.nodeId = nodeId;
    this.#ask = ask;
    this.#sinceMs = sinceMs;
  }

  /** Never rejects: what keeps the node from answering becomes `away`, and `error` when it was not so before. */
  async next(nowMs: () => number, restFactor: number): Promise<{ readonly answer?: FactsAnswer; readonly isBack: boolean; readonly error?: BrokerError }> {
    this.isAsked = true;
    try {
      const from = this.#after === undefined ? (this.#sinceMs === undefined ? {} : { sinceMs: this.#sinceMs }) : { after: this.#after };
      const answer = await this.#ask({ type: 'facts', ...from, limit: pageSize });
      const isBack = this.away !== undefined;
      this.away = undefined;
      this.#after = answer.next;
      this.isCaughtUp = !answer.more;
      this.dueMs = nowMs() + (answer.more ? 0 : restMs * restFactor);
      const facts = answer.facts.filter(({ atMs }) => this.#isPastBeginning || atMs >= (this.#sinceMs ?? 0));
      this.#isPastBeginning ||= !answer.more;
      this.knownUntilMs = facts.at(-1)?.atMs ?? this.knownUntilMs;
      return { answer: { ...answer, facts }, isBack, ...(answer.putBack ? { error: new BrokerError('conflict', 'its store was put back to an older state: of what it wrote since then some may be missing here') } : {}) };
    } catch (thrown) {
      const error = toBrokerError(thrown);
      const wasAway = this.away;
      this.away = error.message;
      this.dueMs = nowMs() + (isForGood(error) ? refusedRetryMs : retryMs);
      return { isBack: false, ...(wasAway === undefined ? { error } : {}) };
    } finally {
      this.isAsked = false;
    }
  }
}

function isForGood({ code }: BrokerError): boolean {
  return code === 'denied' || code === 'incompatible';
}
