import { describe, expect, test } from 'vitest';
import { flightOfInvocation } from '../../../src/domain/ids.ts';
import { conflict } from '../../../src/domain/errors.ts';
import { GroupCommit, mostBytes, mostMembers, nextBatch } from '../../../src/store/group-commit.ts';
import type { Request } from '../../../src/store/protocol.ts';
import { nodeIdFor, Story, textTask } from '../../support/temp-store.ts';
import { codeOf, request, scratchWriter } from './scratch.ts';

const me = nodeIdFor(1);
const story = new Story();
const accept = (changes: { queueLimit?: number; text?: string; owner?: number; caller?: string } = {}): { id: string; request: Request } => {
  const invocation = story.invocation({ origin: me, owner: nodeIdFor(changes.owner ?? 1) }, changes.caller === undefined ? {} : { caller: changes.caller });
  const plan = changes.owner === undefined ? { kind: 'local', queueLimit: changes.queueLimit ?? 1000 } as const : { kind: 'defer', reason: 'timeout', detail: '' } as const;
  return { id: invocation.id, request: request('accept', story.accept(invocation, plan, { task: textTask(changes.text ?? 'x') })) };
};
/** Fails at its first row: the id is there already. */
const colliding = (id: string): Request =>
  request('accept', story.accept(story.invocation({ origin: me, owner: me }, { id: id as never })));

/** Fails at its last row, when the others are written. */
const halfway = (): Request => {
  const registration = {
    address: '@a@desktop#main', nodeId: nodeIdFor(2), harness: 'command', capabilities: [], labels: {}, visibility: 'mesh' as const,
    description: '', isDefault: false, available: true,
  };
  const record = { payload: new Uint8Array(1), signature: new Uint8Array(1) };
  const head = { nodeId: nodeIdFor(2), epoch: 1, version: 1, count: 2, rootHash: '', addresses: [], gossipAddresses: [] };
  return request('saveRegistry', { head, signedHead: record, base: undefined, records: [{ registration, record, hash: 'a' }, { registration, record, hash: 'b' }], gone: [], atMs: 1 });
};

describe('a batch', () => {
  test('is one transaction, and a member that fails does so alone', () => {
    const steps: string[] = [];
    const { commit, read } = scratchWriter(me, (label) => steps.push(label));
    const [a, b, c] = [accept(), accept(), accept()];
    const answers = commit(a.request, colliding(a.id), halfway(), b.request, { id: 99, name: 'no such', input: {}, size: 1 }, c.request);
    expect(answers.map(codeOf)).toEqual(['ok', 'conflict', 'conflict', 'ok', 'internal', 'ok']);
    expect(read.registryHead(nodeIdFor(2))).toBeUndefined();
    expect(read.registrations()).toEqual([]);
    expect(answers[4]?.id).toBe(99);
    expect(steps).toEqual(['before-begin', 'before-commit', 'after-commit']);
    expect([a, b, c].map(({ id }) => read.flight(flightOfInvocation(id as never))?.state)).toEqual(['queued', 'queued', 'queued']);
  });

  test('takes back what a failing member did to memory: queue counts, tallies, node numbers', () => {
    const { commit, read, reading } = scratchWriter(me);
    const first = accept({ queueLimit: 3 });
    expect(commit(first.request).map(codeOf)).toEqual(['ok']);
    // Each of these meets the collision after the queue was read, and the second names a node for the first time.
    const stranger = story.invocation({ origin: me, owner: nodeIdFor(77) }, { id: first.id as never });
    const failing = request('accept', story.accept(stranger, { kind: 'defer', reason: 'timeout', detail: '' }));
    const answers = commit(colliding(first.id), failing, accept({ owner: 77 }).request, accept({ queueLimit: 3 }).request, accept({ queueLimit: 3 }).request, accept({ queueLimit: 3 }).request);
    expect(answers.map(codeOf)).toEqual(['conflict', 'conflict', 'ok', 'ok', 'ok', 'overload']);
    expect(read.queuedCount('@fabric@laptop#main')).toBe(3);
    expect(reading.prepare('SELECT state, count FROM flight_counts').all()).toEqual([{ state: 'queued', count: 4 }]);
    expect(read.unsent(nodeIdFor(77), undefined, 10)).toHaveLength(1);
  });

  test('counts what is durable: nothing of a member that is taken back, nor of what the disk refuses', () => {
    const { db, commit, measured } = scratchWriter(me);
    const came = (): unknown[] => [measured().flights, measured().deliveries].map((all) => Object.fromEntries(all.filter(([, count]) => count > 0)));
    const plan = { kind: 'local', queueLimit: 2 } as const;
    const { task, stamp, payloadHash } = story.accept(story.invocation({ origin: me, owner: me }), plan);
    // Its first two are written when the third finds no place.
    const members = [1, 2, 3].map(() => ({ invocation: story.invocation({ origin: me, owner: me }), plan }));
    expect(commit(accept({ owner: 2 }).request, request('acceptAll', { stamp, task, payloadHash, members }), accept().request).map(codeOf)).toEqual(['ok', 'overload', 'ok']);
    expect([came(), measured().commitFaults]).toEqual([[{ queued: 2 }, { deferred: 1, received: 1 }], 0]);
    db.pragma(`max_page_count = ${Number(db.pragma('page_count', { simple: true }))}`);
    expect(commit(accept().request, accept({ text: 'y'.repeat(200_000) }).request).map(codeOf)).toEqual(['unavailable', 'unavailable']);
    expect([came(), measured().commitFaults]).toEqual([[{ queued: 2 }, { deferred: 1, received: 1 }], 1]);
  });

  test('is rejected whole on a full disk, and nothing changes, in the file or in memory', () => {
    const { db, commit, read, reading } = scratchWriter(me);
    const before = accept({ queueLimit: 3 });
    commit(before.request);
    const pages = Number(db.pragma('page_count', { simple: true }));
    db.pragma(`max_page_count = ${pages + 4}`);
    const batch = [accept({ queueLimit: 3 }), accept({ owner: 55 }), accept({ text: 'y'.repeat(200_000) }), accept({ queueLimit: 3 })];
    const answers = commit(...batch.map((each) => each.request));
    expect(answers.map(codeOf)).toEqual(['unavailable', 'unavailable', 'unavailable', 'unavailable']);
    expect(answers.map((each) => each.id)).toEqual(batch.map((each) => each.request.id));
    expect(JSON.stringify(answers[0])).toContain('disk is full');
    expect(batch.map(({ id }) => read.flight(flightOfInvocation(id as never)))).toEqual([undefined, undefined, undefined, undefined]);
    db.pragma('max_page_count = 1000000');
    const after = [accept({ queueLimit: 3 }), accept({ owner: 55 }), accept({ queueLimit: 3 }), accept({ queueLimit: 3 })];
    expect(commit(...after.map((each) => each.request)).map(codeOf)).toEqual(['ok', 'ok', 'ok', 'overload']);
    expect(reading.prepare('SELECT count FROM flight_counts').all()).toEqual([{ count: 4 }]);
  });

  test.each(['before-begin', 'before-commit'] as const)('a fault %s rejects it whole', (at) => {
    let isBroken = false;
    const { commit, read } = scratchWriter(me, (label) => {
      if (isBroken && label === at) throw new Error('the disk went away');
    });
    isBroken = true;
    const lost = accept();
    expect(commit(lost.request, accept().request).map(codeOf)).toEqual(['unavailable', 'unavailable']);
    expect(read.flight(flightOfInvocation(lost.id as never))).toBeUndefined();
    isBroken = false;
    expect(commit(accept().request).map(codeOf)).toEqual(['ok']);
  });

  test('is not seen by readers before it is committed', () => {
    let seen: unknown;
    const writer = scratchWriter(me, (label) => {
      if (label === 'before-commit') seen = writer.read.newestFlight();
    });
    writer.commit(accept().request);
    expect(seen).toBeUndefined();
    expect(writer.read.newestFlight()).toBeDefined();
  });

  test('keeps the fact of a refusal that it answers', () => {
    const { commit, reading } = scratchWriter(me);
    const member = { nodeId: nodeIdFor(2), name: 'n', owner: 'o', chain: { leaf: new Uint8Array(1), issuer: new Uint8Array(1) }, notBeforeMs: 1, addresses: [] };
    expect(commit(request('redeemInvite', { stamp: story.stamp(), secretHash: 'none', member })).map(codeOf)).toEqual(['denied']);
    expect(reading.prepare('SELECT what FROM events').all()).toEqual([{ what: 'invite.refused' }]);
  });
});

describe('the statements of a batch', () => {
  /** Writes of the name `bad` fail; what is said to the database, in order. */
  function scripted() {
    const said: string[] = [];
    let isOpen = false;
    const run = (sql: string): void => {
      said.push(sql);
      if (sql.startsWith('BEGIN')) isOpen = true;
      if (sql === 'COMMIT' || sql === 'ROLLBACK') isOpen = false;
    };
    const db = { prepare: (sql: string) => ({ run: () => run(sql) }), get inTransaction() { return isOpen; } };
    const memory = { mark: () => () => said.push('unmark'), flush: () => said.push('flush'), reset: () => said.push('reset') };
    const group = new GroupCommit({
      db: db as never, memory,
      perform: (name) => {
        said.push(name);
        if (name === 'bad') throw conflict('no');
      },
    });
    return (...names: string[]): { said: string[]; codes: string[] } => {
      said.length = 0;
      const answers = group.commit(names.map((name, id) => ({ id, name, input: {}, size: 1 })));
      return { said: [...said], codes: answers.map(codeOf) };
    };
  }
  const apart = (name: string): string[] => ['SAVEPOINT member', name, ...(name === 'bad' ? ['ROLLBACK TO member', 'RELEASE member', 'unmark'] : ['RELEASE member'])];

  test('are no savepoints while no member fails', () => {
    const commit = scripted();
    expect(commit('a', 'b').said).toEqual(['BEGIN IMMEDIATE', 'a', 'b', 'flush', 'COMMIT']);
  });

  test('are undone and said again with savepoints when one fails, and for a while each batch has them from the start', () => {
    const commit = scripted();
    const first = commit('a', 'bad', 'b');
    expect(first).toEqual({ said: ['BEGIN IMMEDIATE', 'a', 'bad', 'ROLLBACK', 'reset', 'BEGIN IMMEDIATE', ...apart('a'), ...apart('bad'), ...apart('b'), 'flush', 'COMMIT'], codes: ['ok', 'conflict', 'ok'] });
    for (let count = 1; count < 32; count += 1) expect(commit('a', 'b').said).toEqual(['BEGIN IMMEDIATE', ...apart('a'), ...apart('b'), 'flush', 'COMMIT']);
    expect(commit('a', 'b').said).not.toContain('SAVEPOINT member');
  });

  test('are taken back for one that fails alone, and nothing is committed', () => {
    const commit = scripted();
    expect(commit('bad')).toEqual({ said: ['BEGIN IMMEDIATE', 'bad', 'ROLLBACK', 'reset'], codes: ['conflict'] });
    expect(commit('a').said).toEqual(['BEGIN IMMEDIATE', 'a', 'flush', 'COMMIT']);
  });
});

describe('what waits is cut into batches', () => {
  const waiting = (...sizes: number[]): Request[] => sizes.map((size, id) => ({ id, name: 'x', input: {}, size }));

  test('of at most so many members and bytes, in order, a larger one alone', () => {
    const many = waiting(...Array.from({ length: mostMembers + 10 }, () => 1));
    expect(nextBatch(many)).toHaveLength(mostMembers);
    expect(nextBatch(many).map((each) => each.id)).toEqual(Array.from({ length: 10 }, (_, index) => mostMembers + index));
    expect(nextBatch(many)).toEqual([]);
    const large = waiting(10, mostBytes + 1, mostBytes, 1, 5);
    expect([nextBatch(large), nextBatch(large), nextBatch(large), nextBatch(large)].map((batch) => batch.map((each) => each.id)))
      .toEqual([[0], [1], [2], [3, 4]]);
  });
});

test('facts are never changed, and not removed but by pruning', () => {
  const { db, commit } = scratchWriter(me);
  commit(accept().request);
  expect(() => db.exec("UPDATE events SET what = 'x'")).toThrow('a fact is never changed');
  expect(() => db.exec('DELETE FROM events')).toThrow('only removed by pruning');
  db.exec("BEGIN; INSERT INTO settings VALUES ('pruning', '1'); DELETE FROM events; DELETE FROM settings WHERE key = 'pruning'; COMMIT");
  expect(db.prepare('SELECT count(*) AS n FROM events').get()).toEqual({ n: 0 });
});

test('every commit is synced: WAL, synchronous FULL, and macOS’ full fsync', () => {
  const { db } = scratchWriter(me);
  const pragma = (name: string): unknown => db.pragma(name, { simple: true });
  expect([pragma('journal_mode'), pragma('synchronous'), pragma('fullfsync'), pragma('checkpoint_fullfsync'), pragma('foreign_keys')])
    .toEqual(['wal', 2, 1, 1, 1]);
});
