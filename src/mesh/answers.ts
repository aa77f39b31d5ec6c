/** Questions of the peer, answered on one session: so many at once, each by an answer or an error. */
import { BrokerError, overload, toBrokerError } from '../domain/errors.ts';
import type { OverLimit } from '../domain/limits.ts';
import { peerFields } from '../domain/log-fields.ts';
import type { PeerAnswer, PeerQuery } from '../domain/messages.ts';
import type { Log } from '../domain/ports.ts';
import type { PeerIdentity } from '../domain/trust.ts';
import { ControlFrame } from '../gen/beckon/v1/mesh.ts';
import type * as wire from '../gen/beckon/v1/mesh.ts';
import { encodeErrorInfo } from '../rpc/error-info.ts';
import { largestFrame } from './frame-stream.ts';
import { decodeQuery, encodeAnswer } from './queries.ts';

/** Answered at once; more are told so. */
const mostAtOnce = 16;

export interface AnswersParts {
  readonly peer: Pick<PeerIdentity, 'name' | 'nodeId'>;
  readonly log: Log;
  readonly answer: (query: PeerQuery) => Promise<PeerAnswer>;
  readonly send: (frame: wire.ControlFrame['frame']) => void;
  readonly onOverLimit: OverLimit;
}

export class Answers {
  readonly #parts: AnswersParts;
  #underWay = 0;

  constructor(parts: AnswersParts) {
    this.#parts = parts;
  }

  /** Never rejects. */
  async give({ number, query }: wire.Query): Promise<void> {
    const { peer, log, answer, send } = this.#parts;
    if (this.#underWay >= mostAtOnce) {
      this.#parts.onOverLimit('session_questions');
      return this.#refuse(number, overload('too many questions at once', 1_000));
    }
    this.#underWay += 1;
    try {
      const given = await answer(decodeQuery(query));
      const frame = { $case: 'answer', value: { number, error: undefined, answer: encodeAnswer(given) } } as const;
      if (ControlFrame.encode({ frame }).finish().length > largestFrame) {
        throw new BrokerError('overload', 'the answer is too large for one page', { hint: 'ask for fewer with --limit' });
      }
      send(frame);
    } catch (error) {
      const known = toBrokerError(error);
      if (known.code === 'internal') log.error({ ...peerFields(peer), err: error }, 'a question of a peer could not be answered');
      this.#refuse(number, known);
    } finally {
      this.#underWay -= 1;
    }
  }

  #refuse(number: number, error: BrokerError): void {
    this.#parts.send({ $case: 'answer', value: { number, error: encodeErrorInfo(error.toInfo()), answer: undefined } });
  }
}
