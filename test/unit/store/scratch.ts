/** A directory for one test, and a database in it without threads. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import type { NodeId } from '../../../src/domain/ids.ts';
import type { StoreWrites } from '../../../src/domain/store-port.ts';
import { Arrivals } from '../../../src/store/arrivals.ts';
import type { Connection } from '../../../src/store/connection.ts';
import { openReading } from '../../../src/store/connection.ts';
import { GroupCommit } from '../../../src/store/group-commit.ts';
import type { StoreStep } from '../../../src/store/group-commit.ts';
import { openDatabase } from '../../../src/store/open-database.ts';
import type { Answer, Request } from '../../../src/store/protocol.ts';
import { readerOver } from '../../../src/store/reader.ts';
import { StoreTally } from '../../../src/store/store-tally.ts';
import { openTables } from '../../../src/store/tables.ts';
import { performWith, writeHandlers } from '../../../src/store/write-handlers.ts';
import { auditSealOf } from '../../support/temp-store.ts';
import { memoryOf } from '../../../src/store/writer-memory.ts';

export function scratchDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'beckon-unit-'));
  onTestFinished(() => {
    rmSync(directory, { recursive: true, force: true });
  });
  return directory;
}

let nextId = 1;

/** A request as it reaches the writer. */
export function request<Name extends keyof StoreWrites>(name: Name, input: Parameters<StoreWrites[Name]>[0]): Request {
  nextId += 1;
  return { id: nextId, name, input, size: 100 };
}

export function scratchWriter(nodeId: NodeId, step?: (label: StoreStep) => void) {
  const path = join(scratchDirectory(), 'beckon.db');
  const db = openDatabase(path);
  const arrivals = new Arrivals();
  const tally = new StoreTally();
  const tables = openTables(db, nodeId, arrivals);
  const group = new GroupCommit({ db, memory: memoryOf(tables), perform: performWith(writeHandlers(db, tables)), failed: () => tally.failed(), ...(step === undefined ? {} : { step }) });
  const readings: Connection[] = [];
  onTestFinished(() => {
    for (const each of readings) each.close();
    db.close();
  });
  const reading = openReading(path);
  readings.push(reading);
  return { path, db, tables, reading, read: readerOver(reading, auditSealOf(nodeId)), commit: (...members: Request[]): Answer[] => {
    const answers = group.commit(members);
    tally.committed(0, members.length, arrivals);
    return answers;
  }, measured: () => tally.read() };
}

export const codeOf = (answer: Answer | undefined): string => (answer === undefined ? 'none' : 'error' in answer ? answer.error.code : 'ok');
