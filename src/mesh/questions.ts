/** Questions of this node that wait for their answers on one link. */
import { BrokerError, fromInfo, invalid, overload, unavailable } from '../domain/errors.ts';
import type { ErrorInfo } from '../domain/errors.ts';
import type { PeerAnswer, PeerQuery } from '../domain/messages.ts';
import type { CancelTimer, Clock } from '../domain/ports.ts';

/** More than this at once is refused: nobody waits for that many answers. */
const mostOpen = 256;

interface Open {
  readonly type: PeerQuery['type'];
  readonly resolve: (answer: PeerAnswer) => void;
  readonly reject: (error: BrokerError) => void;
  readonly cancelTimer: CancelTimer;
}

export class Questions {
  readonly #clock: Clock;
  readonly #peerName: string;
  readonly #open = new Map<number, Open>();
  #lastNumber = 0;

  constructor(clock: Clock, peerName: string) {
    this.#clock = clock;
    this.#peerName = peerName;
  }

  /** @param send is given the question's number. @throws BrokerError as `Link.ask` says */
  ask(type: PeerQuery['type'], timeoutMs: number, send: (number: number) => void): Promise<PeerAnswer> {
    if (this.#open.size >= mostOpen) {
      return Promise.reject(overload(`${mostOpen} questions to ${this.#peerName} are open already`, 1_000));
    }
    const number = (this.#lastNumber += 1);
    return new Promise((resolve, reject) => {
      const cancelTimer = this.#clock.setTimer(timeoutMs, () => {
        this.#open.delete(number);
        reject(new BrokerError('deadline', `${this.#peerName} did not answer within ${timeoutMs} ms`));
      });
      this.#open.set(number, { type, resolve, reject, cancelTimer });
      send(number);
    });
  }

  /** An answer after its deadline is dropped. @throws BrokerError `invalid` when it answers another question */
  answered(number: number, answer: PeerAnswer | ErrorInfo): void {
    const open = this.#open.get(number);
    if (open === undefined) return;
    if ('type' in answer && answer.type !== open.type) throw invalid(`a question for ${open.type} was answered with ${answer.type}`);
    this.#open.delete(number);
    open.cancelTimer();
    if ('type' in answer) open.resolve(answer);
    else open.reject(fromInfo(answer));
  }

  close(why: string): void {
    for (const { reject, cancelTimer } of this.#open.values()) {
      cancelTimer();
      reject(unavailable(`the link to ${this.#peerName} went down: ${why}`));
    }
    this.#open.clear();
  }
}
