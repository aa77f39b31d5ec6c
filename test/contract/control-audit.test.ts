/** audit, as it is typed and printed; and in whose name the node is asked for what the audit is told of. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createSystemClock } from '../../src/app/system-clock.ts';
import type { AuditRow } from '../../src/domain/audit.ts';
import type { Clock } from '../../src/domain/ports.ts';
import { FakeNode } from '../support/fake-node.ts';
import { nodeIdFor } from '../support/temp-store.ts';
import { waitFor } from '../support/wait-for.ts';

let node: FakeNode;
beforeEach(async () => {
  node = await new FakeNode().start();
});
afterEach(() => node.stop());

const hash = 'ab'.repeat(32);
const row = (number: number, changes: Partial<AuditRow> = {}): AuditRow => ({
  number, atMs: Date.UTC(2026, 2, 1, 12), kind: 'agent.shared', who: { is: 'user', id: 'uid:501' }, from: { via: 'socket' }, about: { agent: '@fabric@laptop#main', with: 'person:bob' }, times: 1, hash, ...changes,
});
const member = { who: { is: 'member', nodeId: nodeIdFor(2), name: 'desktop', owner: 'bob', user: 'uid:1000' }, from: { via: 'session', address: '10.0.0.2:7423' } } as const;

describe('audit', () => {
  test('prints a row a line, with who, from where and what', async () => {
    node.broker.auditRows.push(row(12, { kind: 'policy.denied', ...member, about: { verb: 'invoke', rule: 'no rule allows it' }, times: 40 }), row(11));
    const { code, stdout: text } = await node.run(['audit']);
    const lines = text.trimEnd().split('\n').map((line) => line.replace(/\d{4}-\d\d-\d\d \d\d:\d\d:\d\d/, 'TIME').replaceAll(/ {2,}/g, '  '));
    expect([code, lines]).toEqual([0, [
      'ROW  AT  WHAT  WHO  FROM  ABOUT',
      '12  TIME  policy.denied (40 times)  bob on desktop (uid:1000)  session 10.0.0.2:7423  verb=invoke rule="no rule allows it"',
      '11  TIME  agent.shared  uid:501  socket  agent=@fabric@laptop#main with=person:bob',
    ]]);
  });

  test('prints all of it as JSON, a page at a time', async () => {
    node.broker.auditRows.push(row(11, member));
    node.broker.auditNext = 'more';
    const { stdout } = await node.run(['audit', '--json', '--limit', '1', '--after', 'there', '--since', '2026-03-01']);
    expect(JSON.parse(stdout)).toEqual({ entries: [{ number: 11, at: '2026-03-01T12:00:00.000Z', kind: 'agent.shared', ...member, about: { agent: '@fabric@laptop#main', with: 'person:bob' }, times: 1, hash }], next: 'more' });
    expect(node.broker.auditAsked).toEqual([[{ sinceMs: Date.UTC(2026, 2, 1) }, { limit: 1, after: 'there' }]]);
  });

  test('lets nothing that a stranger wrote act on a terminal', async () => {
    node.broker.auditRows.push(row(1, { kind: 'invite.refused', who: { is: 'applicant', name: 'a\u001b[2Jb' }, about: { why: 'x\u001b]0;y\u0007' } }));
    const { stdout: text } = await node.run(['audit']);
    expect(text).not.toContain('\u001b');
    expect(text.trimEnd().split('\n')).toHaveLength(2);
  });

  test('shows what a newer node calls otherwise', async () => {
    node.broker.auditRows.push(row(1, { kind: 'agent.painted' as never, who: { is: 'robot' } as never, from: { via: 'air' } as never, about: { colour: 'red' } }));
    expect((await node.run(['audit'])).stdout).toMatch(/agent\.painted +robot +air +colour=red/);
  });

  test.each([[['--since', 'soon']], [['--limit', '0']], [['--check', '--note']]])('%j is a usage error', async (args) => {
    expect((await node.run(['audit', ...args, '--json'])).code).toBe(2);
    expect(node.broker.auditAsked).toEqual([]);
  });

  test('--check of a large one says that it goes on, and what it found alone on stdout', async () => {
    let end: () => void = () => undefined;
    node.broker.auditChecked = new Promise((resolve) => (end = resolve));
    const system = createSystemClock();
    const moments: (() => void)[] = [];
    const setTimer: Clock['setTimer'] = (ms, late) => (ms === 2_000 ? (moments.push(late), () => void moments.splice(0)) : system.setTimer(ms, late));
    const ran = node.process({ clock: { now: () => system.now(), monotonic: () => system.monotonic(), setTimer } });
    const ended = ran.run('audit', '--check');
    await waitFor('the question', () => node.broker.auditAsked.length === 1);
    expect([ran.stderr, moments.length]).toEqual(['', 1]);
    moments[0]?.();
    end();
    expect([await ended, ran.stdout, ran.stderr, moments.length]).toEqual([0, expect.stringMatching(/^ok  /), 'reading the whole audit: a million rows take about a minute\n', 0]);
  });

  test('--check looks at all of it, and exits 1 for a row that is not as it was written', async () => {
    node.broker.auditFinding = { rows: 9, from: 1, flaws: [], noted: [], putBackMs: [] };
    expect(await node.run(['audit', '--check'])).toMatchObject({ code: 0, stdout: 'ok  9 rows, each following from the one before it\n' });
    node.broker.auditFinding = { rows: 9, from: 1, flaws: [{ row: 4, hash, why: 'row 4 was altered' }], noted: [{ row: 2, hash, why: 'row 2 is missing' }], putBackMs: [0] };
    const { code, stdout } = await node.run(['audit', '--check', '--json']);
    const json: unknown = JSON.parse(stdout);
    expect([code, json]).toEqual([1, { ok: false, rows: 9, flaws: [{ row: 4, why: 'row 4 was altered' }], noted: [{ row: 2, why: 'row 2 is missing' }], putBack: ['1970-01-01T00:00:00.000Z'] }]);
    const { stdout: text } = await node.run(['audit', '--check']);
    expect(text).toContain('FAIL  the audit is not as the node wrote it: row 4 was altered');
    expect(text).toContain('noted: row 2 is missing');
    expect(node.broker.auditAsked).toContainEqual({ whole: true });
  });

  test('--note records that its person has seen what is wrong', async () => {
    expect((await node.run(['audit', '--note'])).stderr).toContain('nothing to take note of');
    node.broker.auditFinding = { rows: 9, from: 1, flaws: [{ row: 4, hash, why: 'row 4 was altered' }], noted: [], putBackMs: [] };
    expect(JSON.parse((await node.run(['audit', '--note', '--json'])).stdout)).toEqual({ noted: ['row 4 was altered'] });
    expect(node.broker.acts.at(-1)).toEqual({ who: { is: 'user', id: expect.stringMatching(/^uid:\d+$/) }, from: { via: 'socket' } });
  });
});

test('what the audit is told of is asked for in the name of who is at the socket', async () => {
  for (const args of [['agent', 'share', 'fabric'], ['mesh', 'invite'], ['mesh', 'admit', '--tag', 'tag:x'], ['mesh', 'remove', 'desktop', '--yes']]) {
    const before = node.broker.acts.length;
    await node.run([...args, '--json']);
    expect([args, node.broker.acts.slice(before)]).toEqual([args, [{ who: { is: 'user', id: expect.stringMatching(/^uid:\d+$/) }, from: { via: 'socket' } }]]);
  }
});
