/** The policy file of ada's laptop, and what it does to bob's studio: at once, in the session that is open. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { runsPerAgent } from '../../src/broker/active-runs.ts';
import type { BrokerError } from '../../src/domain/errors.ts';
import type { FlightId } from '../../src/domain/ids.ts';
import type { Flight } from '../../src/domain/records.ts';
import { AskingHarness } from '../support/asking-harness.ts';
import { rows } from '../support/database.ts';
import { LocalNode } from '../support/local-node.ts';
import { waitFor } from '../support/wait-for.ts';

let root: string;
let laptop: LocalNode;
let desktop: LocalNode;
let studio: LocalNode;
let harness: AskingHarness;
let agent: string;

const bobMay = (verbs: string, agents = ''): string => `[[allow]]\nfrom = ["person:bob"]\n${agents === '' ? '' : `agents = ["${agents}"]\n`}verbs = [${verbs.split(' ').map((each) => `"${each}"`).join(', ')}]\n`;
const policyPath = (): string => join(laptop.home, 'policy.toml');
async function policy(text: string): Promise<void> {
  writeFileSync(policyPath(), text, { mode: 0o600 });
  await laptop.reload('');
}

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'bkn-pol-'));
  harness = new AskingHarness();
  [laptop, desktop, studio] = ['laptop', 'desktop', 'studio'].map((name) => new LocalNode(name, root)) as [LocalNode, LocalNode, LocalNode];
  await laptop.start({ harnesses: [harness] });
  await laptop.client.createMesh({ new: false });
  await desktop.start({ join: (await laptop.client.createInvite({})).token });
  await studio.start({ join: (await laptop.client.createInvite({ forPerson: 'bob' })).token });
  for (const node of [desktop, studio]) await Promise.all([node.sees(laptop, 'alive'), laptop.sees(node, 'alive')]);
  agent = await laptop.addAgent('asker', { harness: 'asking' });
  await laptop.addAgent('secret', { harness: 'asking' });
  for (const node of [desktop, studio]) await waitFor('the agents', async () => (await node.client.listAgents({}, { limit: 10 })).items.length === 2);
}, 60_000);
afterAll(async () => {
  await Promise.all([laptop, desktop, studio].map((node) => node[Symbol.asyncDispose]()));
  rmSync(root, { recursive: true, force: true });
});
beforeEach(() => policy(''));

async function ends(node: LocalNode, task: string, address = agent): Promise<Flight> {
  const { flightId } = await node.invoke(address, task);
  return waitFor('its end', async () => {
    const flight = await node.flight(flightId);
    return ['completed', 'failed'].includes(flight.state) ? flight : undefined;
  });
}
const denied = (work: Promise<unknown>): Promise<BrokerError> => work.then(() => Promise.reject(new Error('it was allowed')), (error: BrokerError) => (expect(error.code).toBe('denied'), error));
const check = async (caller: string, verb: 'invoke' | 'control' | 'inspect', address = agent) => laptop.client.checkPolicy({ caller, verb, address });

test('a rule lets another person in, and its end shuts them out, in the session that is open; her own are asked for nothing', async () => {
  const link = (await studio.client.peers()).find(({ name }) => name === 'laptop');
  expect((await ends(studio, 'say no')).error?.code).toBe('denied');
  await policy(bobMay('invoke', 'ask*'));
  expect((await ends(studio, 'say yes')).state).toBe('completed');
  expect((await ends(studio, 'say no', '@secret@laptop#main')).error?.code).toBe('denied');
  await policy(`${bobMay('invoke', 'ask*')}[[deny]]\nfrom = ["node:studio"]\nverbs = ["invoke"]\n`);
  expect((await ends(studio, 'say no')).error).toMatchObject({ code: 'denied', message: expect.stringContaining('a rule denies it (policy.toml:5:3)') });
  await policy('');
  expect((await ends(studio, 'say no')).error?.code).toBe('denied');
  expect((await ends(desktop, 'say hers')).state).toBe('completed');
  expect((await studio.client.peers()).find(({ name }) => name === 'laptop')).toMatchObject({ state: 'alive', sinceMs: link?.sinceMs });
});

test('a denial shuts out her own other machine, too, and a file that is wrong changes nothing', async () => {
  await policy('[[deny]]\nfrom = ["node:desktop"]\nagents = ["asker"]\nverbs = ["invoke"]\n');
  expect((await ends(desktop, 'say no')).error?.code).toBe('denied');
  expect((await ends(desktop, 'say other', '@secret@laptop#main')).state).toBe('completed');
  await policy('[[deny]]\nfrom = ["desktop"]\nverbs = ["invoke"]\n');
  expect((await ends(desktop, 'say no')).error?.code).toBe('denied');
  expect((await laptop.client.showPolicy()).file).toMatchObject({ exists: true, isStale: true, flaws: [{ line: 2, column: 9 }] });
  // What the laptop asks of itself is not judged.
  await policy('[[deny]]\nfrom = ["*"]\nverbs = ["invoke"]\n');
  expect((await ends(laptop, 'say own')).state).toBe('completed');
  expect(await check('laptop', 'invoke')).toMatchObject({ isAllowed: true, notes: [expect.stringContaining('its own agents')] });
  expect(await check('desktop', 'invoke')).toMatchObject({ isAllowed: false, rule: { where: 'policy.toml:1:3' } });
});

test('what is queued ends when the rule goes, what runs goes on, and its questions are bob’s to answer no more', async () => {
  await policy(bobMay('invoke'));
  const running: FlightId[] = [];
  for (let count = 0; count < runsPerAgent; count += 1) running.push((await studio.invoke(agent, 'approval may I?')).flightId);
  for (const id of running) await studio.becomes(id, 'waiting');
  const { flightId: queued } = await studio.invoke(agent, 'say late');
  await waitFor('its receipt', async () => (await studio.flight(queued)).receivedAtMs);
  await policy('');
  expect((await studio.becomes(queued, 'failed')).error?.code).toBe('denied');
  expect((await laptop.flight(running[0] ?? queued)).state).toBe('waiting');
  await denied(studio.client.replyToFlight({ id: String(running[0]), reply: { kind: 'approved' }, waitMs: 5_000 }));
  expect(harness.answers.filter(({ kind }) => kind === 'approved')).toEqual([]);
  // Ending what one asked for is nobody's to deny.
  await studio.client.cancelFlight(String(running[0]), 5_000);
  expect((await studio.becomes(running[0] ?? queued, 'cancelled')).state).toBe('cancelled');
  for (const id of running.slice(1)) await laptop.client.replyToFlight({ id, reply: { kind: 'denied' }, waitMs: 5_000 });
  for (const id of running.slice(1)) await studio.becomes(id, 'completed');
});

test('work that was held while the laptop was down is judged as it is when it arrives', async () => {
  await policy(bobMay('invoke'));
  await laptop.stop();
  await studio.loses(laptop);
  const { flightId } = await studio.invoke(agent, 'say held');
  writeFileSync(policyPath(), '');
  await laptop.start({ harnesses: [harness], name: undefined });
  expect((await studio.becomes(flightId, 'failed', 30_000)).error?.code).toBe('denied');
}, 60_000);

describe('the other verbs', () => {
  test('inspect shows the work of the agents that it is allowed for, a denial wins, and what shows the whole node is closed by one', async () => {
    const [hers, secret] = [(await laptop.invoke(agent, 'say hers')).flightId, (await laptop.invoke('secret', 'say hush')).flightId];
    for (const id of [hers, secret]) await laptop.becomes(id, 'completed');
    const listed = async (): Promise<readonly boolean[]> => {
      const { items } = await studio.client.listFlights({ node: 'laptop' }, { limit: 100 });
      return [hers, secret].map((id) => items.some((each) => each.id === id));
    };
    const isReported = async (): Promise<boolean> => (await studio.client.report(0)).gaps.every(({ nodeName }) => nodeName !== 'laptop');
    await denied(listed());
    await policy(bobMay('inspect'));
    expect([await listed(), await isReported()]).toEqual([[true, true], true]);
    await policy(`${bobMay('inspect')}[[deny]]\nfrom = ["person:bob"]\nagents = ["secret"]\nverbs = ["inspect"]\n`);
    expect([await listed(), await isReported()]).toEqual([[true, false], false]);
    expect((await studio.client.trace(hers)).entries.length).toBeGreaterThan(0);
    expect((await ends(studio, 'say no')).error?.code).toBe('denied');
  });

  test('control answers what somebody else’s work waits for, and without it nothing does', async () => {
    const { flightId } = await laptop.invoke(agent, 'approval may I?');
    await laptop.becomes(flightId, 'waiting');
    const approve = (): Promise<unknown> => studio.client.replyToFlight({ id: flightId, reply: { kind: 'approved' }, waitMs: 5_000 });
    await expect(approve()).rejects.toMatchObject({ code: 'not_found' });
    await policy(bobMay('inspect'));
    await denied(approve());
    await policy(bobMay('inspect control', 'secret'));
    await expect(approve()).rejects.toMatchObject({ code: 'not_found' });
    await policy(bobMay('inspect control', 'asker'));
    await approve();
    await laptop.becomes(flightId, 'completed');
    expect(harness.answers.at(-1)).toMatchObject({ kind: 'approved', by: expect.stringContaining('on studio') });
  });
});

test('the node says which rule would decide, and every rule that counts', async () => {
  await laptop.client.shareAgent({ address: agent, parties: ['studio'] });
  await policy(bobMay('control', 'asker'));
  expect(await check('studio', 'invoke')).toMatchObject({ isAllowed: true, caller: 'bob (studio)', rule: { effect: 'allow', source: 'share', where: agent } });
  expect(await check('bob', 'invoke')).toMatchObject({ isAllowed: false, caller: 'a machine of bob' });
  expect(await check('person:bob', 'control')).toMatchObject({ isAllowed: true, rule: { source: 'file', where: 'policy.toml:1:3', agents: ['asker'] } });
  expect(await check('desktop', 'inspect')).toMatchObject({ isAllowed: true, rule: { source: 'default' } });
  expect(await check('tag:ci', 'invoke')).toMatchObject({ isAllowed: false });
  await expect(check('nobody', 'invoke')).rejects.toMatchObject({ code: 'not_found' });
  await expect(check('bob', 'invoke', '@nothing')).rejects.toMatchObject({ code: 'not_found' });
  const { rules } = await laptop.client.showPolicy();
  expect(rules.map(({ effect, source, where, from }) => [effect, source, where, from])).toEqual([
    ['allow', 'default', '', [expect.stringMatching(/^person:/)]],
    ['allow', 'file', 'policy.toml:1:3', ['person:bob']],
    ['allow', 'share', agent, [expect.stringMatching(/^node:k51/)]],
  ]);
  const [allowed, refused] = [await laptop.cli('policy', 'check', 'studio', 'invoke', 'asker'), await laptop.cli('policy', 'check', 'bob', 'invoke', 'asker', '--json')];
  expect([allowed.code, allowed.stdout]).toEqual([0, expect.stringMatching(/^allowed: bob \(studio\) may invoke @asker@laptop#main: agent share of @asker@laptop#main allows invoke to node:k51/)]);
  expect([refused.code, refused.json]).toEqual([5, expect.objectContaining({ allowed: false, rule: null, verb: 'invoke', address: agent })]);
  expect((await laptop.cli('policy', 'show')).stdout).toContain('policy.toml:1:3');
  expect((await laptop.cli('policy', 'check', 'studio', 'cancel', 'asker')).code).toBe(2);
  await laptop.client.unshareAgent({ address: agent, parties: [] });
});

test('denials and changes of the rules are in the audit, and a flood of one kind is a few rows', async () => {
  await policy(bobMay('invoke', 'nothing'));
  for (let count = 0; count < 30; count += 1) await studio.invoke(agent, 'say no');
  type Row = { readonly kind: string; readonly who: unknown; readonly about: Readonly<Record<string, string>> };
  const audit = (): Row[] => rows(join(laptop.home, 'beckon.db'), 'SELECT kind, who, about FROM audit ORDER BY number').map(({ kind, who, about }) => ({ kind: String(kind), who: JSON.parse(String(who)) as unknown, about: JSON.parse(String(about)) as Row['about'] }));
  const isDenial = ({ kind, about }: Row): boolean => kind === 'policy.denied' && about['verb'] === 'invoke' && about['rule']?.includes('no rule allows it') === true;
  await waitFor('the rows', () => audit().some(isDenial));
  expect(audit().findLast(({ kind }) => kind === 'policy.changed')?.about).toMatchObject({ rules: '1', hash: expect.stringMatching(/^[0-9a-f]{64}$/) });
  const denials = audit().filter(isDenial);
  expect(denials[0]).toMatchObject({ who: { is: 'member', name: 'studio', owner: 'bob' }, about: { agent } });
  // Two agents, over all tests of this file, each once and once more for what was counted.
  expect(denials.length).toBeLessThanOrEqual(4);
});
