/** The audit through the command line: two people's machines, each act with who and from where; and somebody at the file behind the node's back. */
import { copyFileSync, writeFileSync } from 'node:fs';
import Database from 'better-sqlite3';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { acpAgentFile } from '../support/acp-endpoint.ts';
import type { Json } from '../support/cli.ts';
import { Cluster } from '../support/cluster.ts';
import type { TestNode } from '../support/node-process.ts';
import { waitFor } from '../support/wait-for.ts';

vi.setConfig({ testTimeout: 60_000 });

const uid = `uid:${process.getuid?.() ?? 0}`;
const user = { who: { is: 'user', id: uid }, from: { via: 'socket' } };
const from = (via: string) => ({ via, address: expect.stringMatching(/^127\.0\.0\.1:\d+$/) });
let cluster: Cluster;
let laptop: TestNode;
let desktop: TestNode;
let third: TestNode;

const entries = async (node: TestNode, ...args: string[]): Promise<Json[]> => (await node.json(['audit', '--limit', '1000', ...args]))['entries'] as Json[];
/** The newest of that kind, once it is there. */
const entry = (node: TestNode, kind: string): Promise<Json> => waitFor(`${kind} at ${node.name}`, async () => (await entries(node)).find((each) => each['kind'] === kind), { timeoutMs: 15_000 });
const auditCheck = async (node: TestNode): Promise<Json> => (((await node.beckon(['doctor', '--json'])).json['checks'] as Json[]).find(({ id }) => id === 'audit') ?? {});

/** As somebody does it who has the file, and not the node. */
function tampered(node: TestNode, sql: string): void {
  const db = new Database(node.databasePath);
  const triggers = db.prepare("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = 'audit'").all() as { name: string; sql: string }[];
  for (const { name } of triggers) db.exec(`DROP TRIGGER ${name}`);
  db.exec(sql);
  for (const each of triggers) db.exec(each.sql);
  db.close();
}

beforeAll(async () => {
  cluster = await Cluster.create();
  [laptop, desktop, third] = [await cluster.node('laptop'), await cluster.node('desktop'), await cluster.node('third')];
  await cluster.join([laptop, desktop], { desktop: 'bob' });
}, 60_000);
afterAll(() => cluster?.[Symbol.asyncDispose]());

describe('each act is recorded with who did it and from where', () => {
  test('a mesh, an invitation, and who came by it', async () => {
    const { nodeId } = await desktop.json(['status']).then(({ node }) => ({ nodeId: (node as Json)['id'] as string }));
    expect(await entry(laptop, 'mesh.created')).toMatchObject({ ...user, number: 1, about: { mesh: 'home' } });
    const made = await entry(laptop, 'invite.made');
    expect(made).toMatchObject({ ...user, about: { owner: 'bob', until: expect.any(String) } });
    const applicant = { who: { is: 'applicant', nodeId, name: 'desktop' }, from: from('entrance') };
    expect(await entry(laptop, 'invite.used')).toMatchObject({ ...applicant, about: { invite: made['about'].invite, name: 'desktop', owner: 'bob' } });
    expect(await entry(laptop, 'member.admitted')).toMatchObject({ ...applicant, about: { nodeId, why: `invite ${made['about'].invite}` } });
    expect(await entry(desktop, 'mesh.joined')).toMatchObject({ about: { mesh: 'home', owner: 'bob' } });
  });

  test('a token that was used already', async () => {
    const { token } = await laptop.json(['mesh', 'invite', '--ttl', '1ms']);
    await third.up({ flags: ['--tailscale', 'off'] });
    expect((await third.beckon(['mesh', 'join', '-'], { stdin: `${String(token)}\n` })).code).toBe(5);
    expect(await entry(laptop, 'invite.refused')).toMatchObject({ who: { is: 'applicant', name: 'third' }, from: from('entrance'), about: { name: 'third', why: expect.stringContaining('not valid') }, times: 1 });
    await third.down();
  });

  test('an agent, what was refused, its share, and a request that was approved on another machine', async () => {
    const address = '@asks@laptop#main';
    await laptop.addAgent('asks', [process.execPath, acpAgentFile], ['--harness', 'acp', '--permissions', 'ask']);
    expect(await entry(laptop, 'agent.added')).toMatchObject({ ...user, about: { agent: address, permissions: 'ask', visibility: 'mesh' } });
    await waitFor('it to be known', async () => JSON.stringify(await desktop.json(['agents'])).includes(address), { timeoutMs: 15_000 });
    expect((await desktop.invoke(['asks@laptop/main', 'say no-such-secret', '--any-owner'])).code).toBe(5);
    const bob = { is: 'member', name: 'desktop', owner: 'bob' };
    expect(await entry(laptop, 'policy.denied')).toMatchObject({ who: bob, from: from('session'), about: { verb: 'invoke', agent: address } });

    await laptop.json(['agent', 'share', 'asks', '--with', 'bob']);
    expect(await entry(laptop, 'agent.shared')).toMatchObject({ ...user, about: { agent: address, with: 'person:bob' } });
    const { flightId } = await desktop.json(['invoke', 'asks@laptop/main', 'edit no-such-secret', '--detach']);
    const waiting = await waitFor('its question', async () => ((await desktop.json(['inbox']))['waiting'] as Json[])[0], { timeoutMs: 20_000 });
    await desktop.json(['flight', 'approve', String(flightId), String(waiting['request'])]);
    const about = { flight: flightId, agent: address, request: waiting['request'] };
    expect(await entry(desktop, 'request.approved')).toMatchObject({ ...user, about });
    expect(await entry(laptop, 'request.approved')).toMatchObject({ who: { ...bob, user: uid }, from: from('session'), about });
    await laptop.json(['agent', 'unshare', 'asks', '--with', 'bob']);
    expect(await entry(laptop, 'agent.unshared')).toMatchObject({ ...user, about: { agent: address, with: 'person:bob' } });
    await laptop.json(['agent', 'rm', 'asks']);
    expect(await entry(laptop, 'agent.removed')).toMatchObject({ ...user, about: { agent: address } });
    expect(JSON.stringify([await entries(laptop), await entries(desktop)])).not.toContain('no-such-secret');
  });

  test('a name, a rule, the recovery file', async () => {
    await desktop.json(['mesh', 'rename', 'studio']);
    expect(await entry(desktop, 'node.renamed')).toMatchObject({ ...user, about: { name: 'studio' } });
    expect(await entry(laptop, 'member.renamed')).toMatchObject({ who: { is: 'member', owner: 'bob' }, from: from('session'), about: { name: 'studio' } });
    await laptop.json(['mesh', 'admit', '--tag', 'tag:ci']);
    expect(await entry(laptop, 'admission.ruled')).toMatchObject({ ...user, about: { rule: 'tag', value: 'tag:ci' } });
    await laptop.json(['mesh', 'recovery', 'export', cluster.path('home.recovery')], { stdin: 'twelve letters at least\n' });
    expect(await entry(laptop, 'recovery.exported')).toMatchObject({ ...user, about: { moved: 'false' } });
  });

  test('a process of a flight that wants what is not its own', async () => {
    const file = cluster.program('sneaks', 'exec "$BECKON" agent share sneaks');
    const { beckonPath } = await import('../support/cli.ts');
    await laptop.addAgent('sneaks', [file], ['--env', `BECKON=${beckonPath}`]);
    expect((await laptop.invoke(['sneaks', ''])).code).not.toBe(0);
    expect(await entry(laptop, 'flight.refused')).toMatchObject({ who: { is: 'flight', agent: '@sneaks@laptop#main' }, from: { via: 'socket' }, about: { call: 'ShareAgent' } });
    // Nor may it read the audit.
    const reads = cluster.program('reads', 'exec "$BECKON" audit');
    await laptop.addAgent('reads', [reads], ['--env', `BECKON=${beckonPath}`]);
    const { code, last } = await laptop.invoke(['reads', '']);
    expect([code === 0, String(last['output']).includes('mesh.created')]).toEqual([false, false]);
  });

  test('pages, a time, and text for people', async () => {
    const all = await entries(laptop);
    expect(all.map(({ number }) => number)).toEqual(all.map((_, index) => all.length - index));
    const first = await laptop.json(['audit', '--limit', '2']);
    const second = await laptop.json(['audit', '--limit', '2', '--after', String(first['next'])]);
    expect([...(first['entries'] as Json[]), ...(second['entries'] as Json[])]).toEqual(all.slice(0, 4));
    expect(await entries(laptop, '--since', String(all[2]?.['at']))).toEqual(all.slice(0, 3));
    const { text } = await laptop.beckon(['audit', '--limit', '1000']);
    const lines = text.trimEnd().split('\n');
    expect(lines).toHaveLength(all.length + 1);
    expect(lines.find((line) => line.includes('agent.shared'))).toMatch(new RegExp(`^\\d+ +\\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d:\\d\\d +agent\\.shared +${uid} +socket +agent=@asks@laptop#main with=person:bob$`));
    expect((await laptop.beckon(['audit', '--after', 'nothing', '--json'])).code).toBe(2);
  });

  test('a removal, at who removes, and leaving', async () => {
    await laptop.json(['mesh', 'remove', 'studio']);
    expect(await entry(laptop, 'member.removed')).toMatchObject({ ...user, about: { name: 'studio' } });
    expect(await entry(desktop, 'member.removed')).toMatchObject({ who: { is: 'member', name: 'laptop' }, about: { name: 'studio', by: expect.stringContaining('on laptop') } });
    await desktop.json(['mesh', 'leave', '--yes']);
    expect(await entry(desktop, 'mesh.left')).toMatchObject({ ...user, about: { mesh: 'home' } });
    expect(await auditCheck(desktop)).toMatchObject({ ok: true });
  });
});

describe('somebody at the file of the node', () => {
  test('who alters a row is named by doctor while it runs, and by audit --check, until a person has taken note', async () => {
    expect(await auditCheck(laptop)).toMatchObject({ ok: true });
    tampered(laptop, `UPDATE audit SET who = '{"is":"user","id":"uid:9999"}' WHERE number = 2`);
    expect(await auditCheck(laptop)).toMatchObject({ ok: false, detail: expect.stringContaining('row 2 was altered') });
    const checked = await laptop.beckon(['audit', '--check', '--json']);
    expect([checked.code, checked.json]).toEqual([1, expect.objectContaining({ ok: false, flaws: [{ row: 2, why: 'row 2 was altered' }] })]);
    expect(await laptop.json(['audit', '--note'])).toEqual({ noted: ['row 2 was altered'] });
    expect(await entry(laptop, 'audit.noted')).toMatchObject({ ...user, about: { row: '2' } });
    expect(await auditCheck(laptop)).toMatchObject({ ok: true, detail: expect.stringContaining('row 2 was altered') });
  });

  test('who cuts off its end, or puts a row there, while the node is down, is found before and after its start', async () => {
    for (const name of ['one', 'two']) await laptop.addAgent(name, ['cat']);
    await laptop.down();
    const before = cluster.path('before.db');
    copyFileSync(laptop.databasePath, before);
    const last = new Database(before, { readonly: true }).prepare('SELECT max(number) FROM audit').pluck().get() as number;
    tampered(laptop, `DELETE FROM audit WHERE number > ${last - 2}`);
    const words = `rows ${last - 1} to ${last} are missing at its end`;
    expect(await auditCheck(laptop)).toMatchObject({ ok: false, detail: expect.stringContaining(words) });
    await laptop.up();
    expect(await entry(laptop, 'audit.broken')).toMatchObject({ who: { is: 'node' }, number: last - 1, about: { why: words } });
    expect(await auditCheck(laptop)).toMatchObject({ ok: false, detail: expect.stringContaining(words) });
    expect((await laptop.json(['audit', '--note']))['noted']).toHaveLength(1);
    await laptop.down();
    tampered(laptop, `INSERT INTO audit SELECT number + 1, at_ms, 'member.admitted', who, whence, about, times, hash FROM audit ORDER BY number DESC LIMIT 1`);
    expect(await auditCheck(laptop)).toMatchObject({ ok: false, detail: expect.stringMatching(/row \d+ does not follow/) });
    await laptop.up();
    expect(await auditCheck(laptop)).toMatchObject({ ok: false });
  });

  test('an older store that was put back is told as such, and not as a forgery', async () => {
    await third.up();
    const old = cluster.path('old.db');
    await third.json(['backup', old]);
    await third.addAgent('later', ['cat']);
    await third.down();
    copyFileSync(old, third.databasePath);
    await third.up();
    expect(await entry(third, 'store.put_back')).toMatchObject({ about: { evidence: 'it was written by a backup', rows: '0', had: '1' } });
    expect(await auditCheck(third)).toMatchObject({ ok: true, detail: expect.stringContaining('was put back to an older state once') });
    // Where what the node wrote down of the end is gone, nothing explains it.
    await third.down();
    writeFileSync(`${third.home}/beckon.audit`, 'gone');
    expect(await auditCheck(third)).toMatchObject({ ok: false, detail: expect.stringContaining('is gone, or is not by this node') });
  });

  test('a machine that gets a key of its own begins an audit of its own, and the old one is set aside', async () => {
    const { id: was } = (await desktop.json(['status']))['node'] as Json;
    await desktop.down();
    await desktop.up();
    expect(await entry(desktop, 'node.rekeyed')).toMatchObject({ number: 1, who: { is: 'node' }, about: { was } });
    expect(await auditCheck(desktop)).toMatchObject({ ok: true });
  });
});
