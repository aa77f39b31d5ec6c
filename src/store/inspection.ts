/** The long reads of the port. Their thread is started by the first of them, or when one is likely to come, and ends when it is idle: a node at rest does without. */
import { overload, unavailable } from '../domain/errors.ts';
import type { CancelTimer, Clock, Log } from '../domain/ports.ts';
import type { StoreInspection } from '../domain/store-port.ts';
import type { AuditSeal } from './audit.ts';
import type { LongReads, QuestionName } from './protocol.ts';
import { WorkerChannel } from './worker-channel.ts';

/** A thread takes about 15 MB, and 30 ms to start. */
const idleMs = 30_000;
/** Asked and not answered; more is told so. */
const mostAsked = 1_000;
const retryAfterMs = 1_000;
/** The end of a flight, a run, and what is owed to a peer wait for these. */
const alwaysTaken: ReadonlySet<QuestionName> = new Set(['pieces', 'output', 'task']);

export interface InspectionParts {
  readonly path: string;
  readonly seal: AuditSeal;
  readonly log: Log;
  /** Read on the calling thread: a row a state. */
  readonly countFlights: () => Awaited<ReturnType<StoreInspection['countFlights']>>;
  /** Undefined: the thread stays. */
  readonly clock?: Pick<Clock, 'setTimer'> | undefined;
}

export class Inspection implements StoreInspection {
  readonly #parts: InspectionParts;
  /** What has to be over before all is closed: checks on threads of their own, and threads that end. */
  readonly #besides = new Set<Promise<unknown>>();
  #check: Promise<unknown> | undefined;
  #channel: Promise<WorkerChannel> | undefined;
  #asked = 0;
  #cancelIdle: CancelTimer = () => undefined;
  #isClosed = false;

  constructor(parts: InspectionParts) {
    this.#parts = parts;
  }

  readonly flights = this.#question('flights');
  readonly deliveries = this.#question('deliveries');
  readonly deliveriesBySuffix = this.#question('deliveriesBySuffix');
  readonly attempts = this.#question('attempts');
  readonly facts = this.#question('facts');
  readonly pieces = this.#question('pieces');
  readonly output = this.#question('output');
  readonly task = this.#question('task');
  readonly factsIn = this.#question('factsIn');
  readonly factsBefore = this.#question('factsBefore');
  readonly storiesIn = this.#question('storiesIn');
  readonly troubles = this.#question('troubles');
  readonly owedTo = this.#question('owedTo');
  readonly exported = this.#question('exported');
  readonly auditRows = this.#question('auditRows');
  readonly checkAudit = this.#question('checkAudit');
  readonly auditNotes = this.#question('auditNotes');

  /** What a thread can't be started for, the first question will be told. */
  wake(): void {
    if (this.#isClosed || this.#channel !== undefined) return;
    const channel = (this.#channel = this.#first());
    const rest = (): void => {
      if (this.#asked === 0) this.#restLater();
    };
    channel.then(rest, rest);
  }

  async countFlights(): ReturnType<StoreInspection['countFlights']> {
    if (this.#isClosed) throw unavailable('the store is closed');
    return this.#parts.countFlights();
  }

  /** All of the file is read for it: what is asked meanwhile does not stand in line behind it. */
  async quickCheck(): Promise<string> {
    if (this.#isClosed) throw unavailable('the store is closed');
    // Who asks while one runs is told what it finds: each is a thread, and reads the whole file.
    const check = (this.#check ??= this.#beside(this.#onItsOwn('quickCheck')));
    try {
      return (await check) as string;
    } finally {
      if (this.#check === check) this.#check = undefined;
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#cancelIdle();
    await this.#end();
    await Promise.allSettled(this.#besides);
  }

  #question<Name extends QuestionName>(name: Name): LongReads[Name] {
    const ask = async (...args: unknown[]): Promise<unknown> => {
      if (this.#isClosed) throw unavailable('the store is closed');
      if (this.#asked >= mostAsked && !alwaysTaken.has(name)) throw overload(`${mostAsked} questions about what is stored wait for their answers already`, retryAfterMs);
      this.#cancelIdle();
      this.#asked += 1;
      try {
        this.#channel ??= this.#first();
        const channel = await this.#channel;
        return await channel.ask(name, args);
      } finally {
        this.#asked -= 1;
        if (this.#asked === 0) this.#restLater();
      }
    };
    return ask as unknown as LongReads[Name];
  }

  #restLater(): void {
    this.#cancelIdle();
    if (!this.#isClosed) this.#cancelIdle = this.#parts.clock?.setTimer(idleMs, () => void this.#end()) ?? this.#cancelIdle;
  }

  /** The next question starts another. */
  async #end(): Promise<void> {
    const channel = this.#channel;
    this.#channel = undefined;
    if (channel !== undefined) await this.#beside(channel.then((open) => open.close()));
  }

  async #beside<Result>(work: Promise<Result>): Promise<Result> {
    this.#besides.add(work);
    try {
      return await work;
    } finally {
      this.#besides.delete(work);
    }
  }

  async #onItsOwn(name: QuestionName): Promise<unknown> {
    const channel = await this.#start();
    try {
      return await channel.ask(name, []);
    } finally {
      await channel.close();
    }
  }

  async #first(): Promise<WorkerChannel> {
    try {
      return await this.#start();
    } catch (thrown) {
      this.#channel = undefined;
      throw thrown;
    }
  }

  #start(): Promise<WorkerChannel> {
    const { path, seal, log } = this.#parts;
    return WorkerChannel.start('inspection-worker', { path, seal }, log);
  }
}
