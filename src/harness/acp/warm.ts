/** Agents whose turn is over, kept for the next one of their session: it then begins at once. One process a session. */
import type { SessionId } from '../../domain/ids.ts';
import type { HarnessEvents } from '../../domain/harness-port.ts';
import type { CancelTimer, Clock, Log } from '../../domain/ports.ts';
import type { AcpAgent } from './agent.ts';

/** From the end of a turn, ms. */
export const keepWarmMs = 5 * 60_000;
/** Of the whole node: one takes 100 to 400 MB. */
export const mostWarm = 8;
/** Between TERM and KILL, ms. */
const graceMs = 2000;

export interface WarmParts {
  readonly clock: Clock;
  readonly events: HarnessEvents;
  readonly log?: Log;
  readonly keepMs?: number;
  readonly most?: number;
}

interface Kept {
  readonly agent: AcpAgent;
  /** What its process was made of: another turn may use it only if that is the same. */
  readonly likeness: string;
  readonly stopTimer: CancelTimer;
}

export class WarmAgents {
  readonly #parts: WarmParts;
  /** The least recently used first. */
  readonly #kept = new Map<SessionId, Kept>();
  /** Those that were ever kept: their end is told. */
  readonly #told = new WeakSet<AcpAgent>();
  /** What is being ended. */
  readonly #ending = new Map<SessionId, Promise<unknown>>();
  #isClosed = false;

  constructor(parts: WarmParts) {
    this.#parts = parts;
  }

  /**
   * The agent that waits with this session; from now on it is the caller's. One that is not alike is ended first, since
   * two processes with one session would write over each other.
   */
  async take(session: SessionId, likeness: string): Promise<AcpAgent | undefined> {
    await this.#ending.get(session);
    const kept = this.#kept.get(session);
    if (kept === undefined) return undefined;
    if (kept.likeness === likeness && kept.agent.exit === undefined) {
      this.#forget(session);
      return kept.agent;
    }
    await this.end(session);
    return undefined;
  }

  keep(session: SessionId, likeness: string, agent: AcpAgent): void {
    const { clock, events, keepMs = keepWarmMs, most = mostWarm } = this.#parts;
    if (!this.#told.has(agent)) {
      this.#told.add(agent);
      void agent.gone.then(() => {
        if (this.#kept.get(session)?.agent === agent) this.#forget(session);
        events.ended(agent.flightId);
      });
    }
    this.#kept.set(session, { agent, likeness, stopTimer: clock.setTimer(keepMs, () => void this.end(session)) });
    const [oldest] = this.#kept.keys();
    if (this.#isClosed) void this.end(session);
    else if (this.#kept.size > most && oldest !== undefined) void this.end(oldest);
  }

  /** Ends all. What is kept later is ended at once. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await Promise.all([...[...this.#kept.keys()].map((session) => this.end(session)), ...this.#ending.values()]);
  }

  #forget(session: SessionId): void {
    this.#kept.get(session)?.stopTimer();
    this.#kept.delete(session);
  }

  /** Of one session; resolves when nothing of it is left. */
  async end(session: SessionId): Promise<void> {
    const agent = this.#kept.get(session)?.agent;
    this.#forget(session);
    if (agent === undefined) {
      await this.#ending.get(session);
      return;
    }
    const ending = agent.end(graceMs).then(
      () => this.#ending.delete(session),
      (error: unknown) => {
        this.#ending.delete(session);
        this.#parts.log?.error({ err: error, flightId: agent.flightId }, 'an agent that was kept could not be ended');
      },
    );
    this.#ending.set(session, ending);
    await ending;
  }
}
