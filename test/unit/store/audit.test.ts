/** The table of the audit, on a real database: what is written into it, how it is read, and what of it can't be undone. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { auditKinds, auditKindNames } from '../../../src/domain/audit.ts';
import type { Act, AuditStretch, AuditWhat } from '../../../src/domain/audit.ts';
import { beginningOf, flawOfEnd } from '../../../src/domain/audit-chain.ts';
import { auditReads, AuditTable } from '../../../src/store/audit.ts';
import type { Connection } from '../../../src/store/connection.ts';
import { schema0018 } from '../../../src/store/schema-0018.ts';
import { storeStory, storyNode } from '../../support/store-story.ts';
import { auditSealOf, nodeIdFor, Story } from '../../support/temp-store.ts';
import { codeOf, request, scratchWriter } from './scratch.ts';

const [me, peer] = [nodeIdFor(1), nodeIdFor(2)];
const user: Act = { who: { is: 'user', id: 'uid:501' }, from: { via: 'socket' } };
const remote: Act = { who: { is: 'member', nodeId: peer, name: 'desktop', owner: 'bob', user: 'uid:1' }, from: { via: 'session', address: '10.0.0.2:7423' } };

/** As somebody does it who has the file and not the node. */
function unguarded(db: Connection): void {
  for (const name of ['audit_never_changes', 'audit_stays', 'audit_grows_at_its_end']) db.exec(`DROP TRIGGER ${name}`);
}

function filled(count: number) {
  const scratch = scratchWriter(me);
  const story = new Story();
  for (let index = 0; index < count; index += 1) {
    scratch.tables.audit.append(story.stamp(), { kind: 'agent.shared', about: { agent: `@a${index}@laptop#main`, with: 'all' } }, index % 2 === 0 ? user : remote);
  }
  const reads = auditReads(scratch.db, auditSealOf(me));
  return { ...scratch, story, reads, check: (): AuditStretch => reads.checkAudit({ most: 1000 }) };
}

describe('the audit', () => {
  test('numbers its rows from 1, and each follows from the one before it', () => {
    const { reads, check } = filled(5);
    expect(reads.auditRows({}, 10).rows.map(({ number }) => number)).toEqual([5, 4, 3, 2, 1]);
    expect(check()).toEqual({ flaws: [], more: false, last: reads.auditHead() });
    expect(reads.auditHead().number).toBe(5);
  });

  test('gives back who, whence and what of every kind', () => {
    const { tables, story, reads, check } = filled(0);
    const acts: Act[] = [
      user, remote,
      { who: { is: 'node' }, from: { via: 'inside' } },
      { who: { is: 'flight', flightId: 'flt_01HF7YAT010000000000000001' as never, agent: '@a@laptop#main' }, from: { via: 'socket' } },
      { who: { is: 'applicant', nodeId: peer, name: 'new', login: 'ann@example.com' }, from: { via: 'entrance', address: '[::1]:4000' } },
      { who: { is: 'stranger' }, from: { via: 'network', address: '1.2.3.4:5' } },
    ];
    for (const [index, kind] of auditKindNames.entries()) {
      const about = Object.fromEntries(auditKinds[kind].map((field) => [field, `${field} of it`]));
      const act = acts[index % acts.length] as Act;
      tables.audit.append(story.stamp(), { kind, about } as AuditWhat, act, index + 1);
      expect(reads.auditRows({}, 1).rows[0]).toMatchObject({ kind, about, ...act, times: index + 1, atMs: story.nowMs });
    }
    expect(check().flaws).toEqual([]);
  });

  test('takes nothing that the kind may not say, and cuts what is long', () => {
    const { tables, story, reads, check } = filled(0);
    tables.audit.append(story.stamp(), { kind: 'agent.shared', about: { agent: 'x'.repeat(5000), with: 'all', task: 'a secret' } } as never, user);
    const [row] = reads.auditRows({}, 1).rows;
    expect(Object.keys(row?.about ?? {})).toEqual(['agent', 'with']);
    expect(row?.about['agent']).toHaveLength(256);
    expect(() => tables.audit.append(story.stamp(), { kind: 'agent.painted', about: {} } as never)).toThrow(/knows no/);
    expect(check().flaws).toEqual([]);
  });

  test('refuses to have a row changed, removed, put in front or replaced', () => {
    const { db } = filled(3);
    expect(() => db.exec("UPDATE audit SET about = '{}' WHERE number = 2")).toThrow(/never changed/);
    expect(() => db.exec('DELETE FROM audit WHERE number = 3')).toThrow(/never removed/);
    const row = "9, 'mesh.left', '{}', '{}', '{}', 1, 'aa'";
    expect(() => db.exec(`INSERT INTO audit VALUES (7, ${row})`)).toThrow(/behind all others/);
    expect(() => db.exec(`INSERT OR REPLACE INTO audit VALUES (2, ${row})`)).toThrow(/behind all others/);
  });

  test('does not fork when members of one commit are undone, one or all', () => {
    const { commit, story, db, check, reads } = filled(2);
    const entry = () => request('audit', { stamp: story.stamp(), entries: [{ kind: 'mesh.left', about: { mesh: 'home' } }, { kind: 'mesh.left', about: {} }] });
    const bad = () => request('audit', { stamp: story.stamp(), entries: [{ kind: 'mesh.left', about: {} }, { kind: 'nothing', about: {} } as never] });
    expect(commit(entry(), bad(), entry()).map(codeOf)).toEqual(['ok', 'internal', 'ok']);
    expect(commit(entry(), bad(), bad(), entry()).map(codeOf)).toEqual(['ok', 'internal', 'internal', 'ok']);
    expect(check()).toMatchObject({ flaws: [], last: { number: 10 } });
    db.exec('CREATE TRIGGER full BEFORE INSERT ON audit WHEN new.number = 12 BEGIN SELECT raise(ROLLBACK, \'full\'); END');
    expect(commit(entry(), entry()).map(codeOf)).not.toContain('ok');
    db.exec('DROP TRIGGER full');
    expect(commit(entry()).map(codeOf)).toEqual(['ok']);
    expect(check().flaws).toEqual([]);
    expect(reads.auditHead().number).toBe(12);
  });

  test('says by itself that somebody took rows away while it ran', () => {
    const { db, tables, story, reads } = filled(5);
    unguarded(db);
    db.exec('DELETE FROM audit WHERE number > 3');
    db.exec(schema0018.slice(schema0018.indexOf('CREATE TRIGGER')));
    tables.audit.append(story.stamp(), { kind: 'mesh.left', about: {} }, user);
    const [last, broken] = reads.auditRows({}, 2).rows;
    expect(broken).toMatchObject({ number: 4, kind: 'audit.broken', about: { why: 'while the node ran: rows 4 to 5 are missing at its end' } });
    expect(last).toMatchObject({ number: 5, kind: 'mesh.left' });
  });
});

describe('a page', () => {
  test('is of the rows of its time, newest first, and leads to the next', () => {
    const { reads } = filled(10);
    const first = reads.auditRows({}, 4);
    expect([first.rows.map(({ number }) => number), first.next]).toEqual([[10, 9, 8, 7], 7]);
    const rest = reads.auditRows({ before: 7 }, 6);
    expect([rest.rows.map(({ number }) => number), rest.next]).toEqual([[6, 5, 4, 3, 2, 1], undefined]);
    const since = reads.auditRows({}, 10).rows.find(({ number }) => number === 8)?.atMs ?? 0;
    expect(reads.auditRows({ sinceMs: since }, 10).rows.map(({ number }) => number)).toEqual([10, 9, 8]);
  });

  test('misses no row of its time, however the clock was set', () => {
    const { db } = scratchWriter(me);
    fc.assert(fc.property(fc.array(fc.integer({ min: 0, max: 50 }), { maxLength: 700 }), fc.integer({ min: 0, max: 50 }), fc.integer({ min: 1, max: 300 }), (times, sinceMs, limit) => {
      db.exec('SAVEPOINT one');
      try {
        const table = new AuditTable(db, auditSealOf(me));
        for (const atMs of times) table.append({ atMs, hlc: '' as never }, { kind: 'mesh.left', about: {} });
        const reads = auditReads(db, auditSealOf(me));
        const found: number[] = [];
        for (let before: number | undefined, first = true; first || before !== undefined; first = false) {
          const page = reads.auditRows({ sinceMs, ...(before === undefined ? {} : { before }) }, limit);
          found.push(...page.rows.map(({ number }) => number));
          before = page.next;
        }
        expect(found).toEqual(times.flatMap((atMs, index) => (atMs >= sinceMs ? [index + 1] : [])).toReversed());
      } finally {
        db.exec('ROLLBACK TO one; RELEASE one');
      }
    }), { numRuns: 40 });
  });
});

describe('whoever changes the file behind the node’s back', () => {
  const columns = ['number', 'at_ms', 'kind', 'who', 'whence', 'about', 'times', 'hash'] as const;
  const changed = (value: string | number, at: number, to: number): string | number => {
    if (typeof value === 'number') return value + 1 + to;
    const index = at % Math.max(1, value.length);
    const other = String.fromCharCode(32 + ((value.charCodeAt(index) - 32 + 1 + (to % 94)) % 95));
    return value.slice(0, index) + other + value.slice(index + 1);
  };

  test('is found out by any one character of any column of any row', () => {
    const { db, check } = filled(12);
    unguarded(db);
    fc.assert(fc.property(fc.integer({ min: 1, max: 12 }), fc.constantFrom(...columns), fc.nat(200), fc.nat(93), (number, column, at, to) => {
      const value = (db.prepare(`SELECT ${column} AS value FROM audit WHERE number = ?`).get(number) as { value: string | number }).value;
      db.exec('SAVEPOINT one');
      try {
        const other = changed(value, at, to);
        if (column === 'number') db.prepare('UPDATE OR REPLACE audit SET number = ? WHERE number = ?').run(other, number);
        else db.prepare(`UPDATE audit SET ${column} = ? WHERE number = ?`).run(other, number);
        const { flaws } = check();
        expect(flaws.length).toBeGreaterThan(0);
        expect(flaws[0]?.row).toBeGreaterThanOrEqual(number);
        expect(flaws[0]?.row).toBeLessThanOrEqual(number + 1);
      } finally {
        db.exec('ROLLBACK TO one; RELEASE one');
      }
    }), { numRuns: 600 });
    expect(check().flaws).toEqual([]);
  });

  const attempts: readonly (readonly [string, string, RegExp])[] = [
    ['alters a row', "UPDATE audit SET who = '{\"is\":\"node\"}' WHERE number = 5", /^row 5 was altered$/],
    ['alters a row with its hash', "UPDATE audit SET about = '{}', hash = printf('%064d', 1) WHERE number = 5", /^row 5 does not follow/],
    ['takes one away', 'DELETE FROM audit WHERE number = 5', /^row 5 is missing$/],
    ['takes some away', 'DELETE FROM audit WHERE number BETWEEN 3 AND 6', /^rows 3 to 6 are missing$/],
    ['takes the first away', 'DELETE FROM audit WHERE number = 1', /^row 1 is missing$/],
    ['takes one away and closes the gap', 'DELETE FROM audit WHERE number = 5; UPDATE audit SET number = number - 1 WHERE number > 5', /^row 5 does not follow/],
    ['swaps two', 'UPDATE audit SET number = -number WHERE number IN (5, 6); UPDATE audit SET number = 11 + number WHERE number < 0', /^row 5 does not follow/],
    ['puts one in', "UPDATE audit SET number = -number WHERE number > 5; UPDATE audit SET number = 1 - number WHERE number < 0; INSERT INTO audit SELECT 6, at_ms, kind, who, whence, about, times, hash FROM audit WHERE number = 5", /^row 6 does not follow/],
    ['puts one behind', "INSERT INTO audit SELECT 13, at_ms, kind, who, whence, about, times, printf('%064d', 2) FROM audit WHERE number = 12", /^row 13 does not follow/],
  ];
  test.each(attempts)('%s, and the first row that is wrong is named', (_what, sql, why) => {
    const { db, check } = filled(12);
    unguarded(db);
    db.exec('PRAGMA ignore_check_constraints = 1');
    db.exec(sql);
    expect(check().flaws[0]?.why).toMatch(why);
  });

  test('can not make a row that counts without the key', () => {
    const { db, reads, story } = filled(3);
    unguarded(db);
    const forger = new AuditTable(db, { nodeId: me, key: new Uint8Array([1]) });
    forger.append(story.stamp(), { kind: 'mesh.left', about: {} }, user);
    expect(reads.checkAudit({ most: 10 }).flaws).toMatchObject([{ row: 4 }]);
  });

  test('cuts off the end, and what the node wrote down of it elsewhere says so', () => {
    const { db, reads, check } = filled(6);
    const known = reads.auditHead();
    unguarded(db);
    db.exec('DELETE FROM audit WHERE number > 4');
    expect(check().flaws).toEqual([]);
    expect(flawOfEnd(known, reads.auditHead(), reads.auditHashAt(known.number))?.why).toBe('rows 5 to 6 are missing at its end');
  });

  test('puts the audit of another node there, and its beginning says so', () => {
    const { db, story } = filled(2);
    const other = auditReads(db, auditSealOf(peer));
    expect(other.checkAudit({ most: 10 }).flaws).toMatchObject([{ row: 1 }]);
    const hash = (content: string): string => `of ${content}`;
    expect(beginningOf(me, hash)).not.toEqual(beginningOf(peer, hash));
    expect(story.nowMs).toBeGreaterThan(0);
  });
});

test('whatever a store is told, its chain is whole, and the act is in it with who and from where', () => {
  const { db, commit } = scratchWriter(storyNode);
  const steps = storeStory();
  for (const { name, input } of steps) expect([name, codeOf(commit(request(name, input as never))[0])]).toEqual([name, 'ok']);
  const reads = auditReads(db, auditSealOf(storyNode));
  expect(reads.checkAudit({ most: 1000 }).flaws).toEqual([]);
  const { rows } = reads.auditRows({}, 1000);
  const ofStore = ['mesh.created', 'node.renewed', 'node.renamed', 'invite.made', 'invite.used', 'member.admitted', 'admission.ruled', 'member.renewed', 'member.renamed', 'issuer.added', 'member.left', 'member.removed', 'agent.added', 'agent.removed', 'agent.shared', 'agent.unshared', 'project.approved', 'project.forgotten', 'request.approved', 'request.denied', 'store.put_back', 'mesh.left'];
  expect([...new Set(rows.map(({ kind }) => kind))].toSorted()).toEqual([...ofStore, 'policy.denied', 'recovery.exported', 'root.changed'].toSorted());
  expect(rows.filter(({ kind }) => kind === 'agent.shared' || kind === 'request.approved')).toEqual(expect.arrayContaining([expect.objectContaining(user)]));
});

test('a check in stretches finds what a whole one finds', () => {
  const { db, reads } = filled(30);
  unguarded(db);
  db.exec("UPDATE audit SET about = '{}' WHERE number IN (10, 20, 21)");
  for (const most of [1, 2, 3, 7, 10, 29, 30, 31]) {
    const rows: number[] = [];
    for (let after = { number: 0, hash: reads.auditHashAt(0) ?? '' }, more = true; more;) {
      const stretch = reads.checkAudit({ after, most });
      rows.push(...stretch.flaws.map(({ row }) => row));
      ({ last: after, more } = stretch);
    }
    expect([most, rows]).toEqual([most, [10, 20, 21]]);
  }
});
