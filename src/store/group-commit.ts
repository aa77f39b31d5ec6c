/**
 * Group commit: what waits when a transaction begins shares its one sync of the disk. After D. DeWitt et al.,
 * "Implementation Techniques for Main Memory Database Systems" (1984). A member that fails does so alone: what was done is
 * undone, and done again with each in a savepoint. A fault of the disk fails all, and then nothing is changed, in the file or in memory.
 */
import { fromSqlite, isEnvironmental } from './sqlite-errors.ts';
import type { Connection } from './connection.ts';
import { Refusal } from './refusal.ts';
import { BrokerError } from '../domain/errors.ts';
import type { Answer, Request } from './protocol.ts';

export const mostMembers = 512;
export const mostBytes = 4 * 1024 * 1024;

/** Batches. */
const carefulFor = 32;

export const storeSteps = ['before-begin', 'before-commit', 'after-commit'] as const;
export type StoreStep = (typeof storeSteps)[number];

/** The writer's memory, which follows what the transaction does. */
export interface Memory {
  /** A member begins: returns how to undo what it will do to memory alone. */
  mark(): () => void;
  /** The batch is about to commit: writes what was gathered. */
  flush(): void;
  /** The batch was rolled back. */
  reset(): void;
}

export interface GroupCommitParts {
  readonly db: Connection;
  readonly memory: Memory;
  readonly perform: (name: string, input: unknown) => unknown;
  /** Called at each labelled step with the writes of the batch, for tests that let a node die there. */
  readonly step?: (label: StoreStep, members: readonly Request[]) => void;
  /** Called for a batch that the disk refused. */
  readonly failed?: () => void;
}

export class GroupCommit {
  readonly #parts: GroupCommitParts;
  readonly #statements;
  /** How many batches more are done with savepoints from the start: where one member failed, others may. */
  #careful = 0;

  constructor(parts: GroupCommitParts) {
    this.#parts = parts;
    const { db } = parts;
    this.#statements = {
      begin: db.prepare('BEGIN IMMEDIATE'),
      commit: db.prepare('COMMIT'),
      rollback: db.prepare('ROLLBACK'),
      savepoint: db.prepare('SAVEPOINT member'),
      release: db.prepare('RELEASE member'),
      undo: db.prepare('ROLLBACK TO member'),
    };
  }

  /** Answers all members, in order. What they answer is durable when this returns. */
  commit(members: readonly Request[]): Answer[] {
    const { memory, step } = this.#parts;
    try {
      step?.('before-begin', members);
      const answers = (this.#careful === 0 ? this.#together(members) : undefined) ?? this.#apart(members);
      if (!this.#parts.db.inTransaction) return answers;
      memory.flush();
      step?.('before-commit', members);
      this.#statements.commit.run();
      step?.('after-commit', members);
      return answers;
    } catch (thrown) {
      this.#abandon();
      this.#parts.failed?.();
      const error = fromSqlite(thrown, 'the write');
      const info = error.code === 'unavailable' ? error : new BrokerError('unavailable', error.message, { cause: thrown });
      return members.map(({ id }) => failure(id, info));
    }
  }

  /**
   * Without savepoints: each copies the pages that its member is the first to touch, for most members a quarter of what
   * they take. Undefined when a member failed: then nothing was done, and all are to be done apart.
   */
  #together(members: readonly Request[]): Answer[] | undefined {
    const { db, perform } = this.#parts;
    this.#statements.begin.run();
    const answers: Answer[] = [];
    for (const { id, name, input } of members) {
      try {
        answers.push(answerOf(id, perform(name, input)));
      } catch (thrown) {
        if (isEnvironmental(thrown) || !db.inTransaction) throw thrown;
        this.#abandon();
        if (members.length === 1) return [failure(id, fromSqlite(thrown, `the write ${name}`))];
        this.#careful = carefulFor;
        return undefined;
      }
    }
    return answers;
  }

  /** Each in a savepoint, so that one that fails does so alone. */
  #apart(members: readonly Request[]): Answer[] {
    this.#careful = Math.max(0, this.#careful - 1);
    this.#statements.begin.run();
    return members.map((member) => this.#take(member));
  }

  #take({ id, name, input }: Request): Answer {
    const { db, memory, perform } = this.#parts;
    const { savepoint, release, undo } = this.#statements;
    savepoint.run();
    const undoMemory = memory.mark();
    try {
      const value = perform(name, input);
      release.run();
      return answerOf(id, value);
    } catch (thrown) {
      // SQLite may have rolled the whole transaction back by itself: then no savepoint is left to return to.
      if (isEnvironmental(thrown) || !db.inTransaction) throw thrown;
      undo.run();
      release.run();
      undoMemory();
      return failure(id, fromSqlite(thrown, `the write ${name}`));
    }
  }

  #abandon(): void {
    if (this.#parts.db.inTransaction) this.#statements.rollback.run();
    this.#parts.memory.reset();
  }
}

function answerOf(id: number, value: unknown): Answer {
  return value instanceof Refusal ? failure(id, value.error) : { id, value };
}

export function failure(id: number, error: BrokerError): Answer {
  const { cause } = error;
  return { id, error: error.toInfo(), ...(cause instanceof Error ? { cause: cause.stack ?? cause.message } : {}) };
}

/** Cuts what waits into batches, each bounded in members and bytes; a larger member goes alone. */
export function nextBatch(waiting: Request[]): Request[] {
  let count = 0;
  let bytes = 0;
  for (const { size } of waiting) {
    if (count === mostMembers || (count > 0 && bytes + size > mostBytes)) break;
    count += 1;
    bytes += size;
  }
  return waiting.splice(0, count);
}
