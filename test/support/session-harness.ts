/**
 * A harness for tests that keeps sessions. Its agent calls them `agent-1`, `agent-2`, …, prints the name, and ends at
 * once; with a task that starts with `hold` it first waits to be released.
 */
import type { Availability, Harness, Run, RunEnd, RunRequest, RunSink } from '../../src/domain/harness-port.ts';
import type { SessionId } from '../../src/domain/ids.ts';

export interface Turn {
  readonly task: string;
  readonly request: RunRequest;
  readonly sink: RunSink;
  isOver: boolean;
  readonly release: (end?: RunEnd) => void;
}

export class SessionHarness implements Harness {
  readonly name: string;
  readonly keepsSessions = true;
  readonly turns: Turn[] = [];
  readonly endedSessions: SessionId[] = [];
  /** How often `close` was called. */
  closed = 0;
  available: Availability = { available: true };
  #begun = 0;

  constructor(name = 'talking') {
    this.name = name;
  }

  /** Tasks, in the order in which they began. */
  get began(): string[] {
    return this.turns.map(({ task }) => task);
  }

  turn(task: string): Turn | undefined {
    return this.turns.find((each) => each.task === task);
  }

  release(task: string, end?: RunEnd): void {
    const turn = this.turn(task);
    if (turn === undefined) throw new Error(`${task} has not begun`);
    turn.release(end);
  }

  check(): Promise<Availability> {
    return Promise.resolve(this.available);
  }

  close(): Promise<void> {
    this.closed += 1;
    return Promise.resolve();
  }

  endSession(session: SessionId): Promise<void> {
    this.endedSessions.push(session);
    return Promise.resolve();
  }

  start(request: RunRequest, sink: RunSink): Run {
    const task = new TextDecoder().decode(request.task.text);
    const released = Promise.withResolvers<RunEnd>();
    const turn: Turn = { task, request, sink, isOver: false, release: (end = { exitCode: 0 }) => released.resolve(end) };
    this.turns.push(turn);
    const play = async (): Promise<RunEnd> => {
      const { session } = request;
      if (session === undefined) return { error: { code: 'internal', message: 'a turn without a session' } };
      const known = session.agentSession ?? `agent-${(this.#begun += 1)}`;
      if (session.agentSession === undefined) await sink.bindSession(known);
      await sink.output('stdout', new TextEncoder().encode(known));
      return task.startsWith('hold') ? released.promise : { exitCode: 0 };
    };
    const ended = play()
      .catch((): RunEnd => ({ exitCode: 70 }))
      .finally(() => {
        turn.isOver = true;
      });
    return {
      ended,
      stop: () => {
        const count = turn.isOver ? 0 : 1;
        turn.release({ signal: 'SIGTERM' });
        return Promise.resolve(count);
      },
    };
  }
}
