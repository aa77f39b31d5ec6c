/** The person at the origin is told of flights on another node, over a restart of the origin too. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { AskingHarness } from '../support/asking-harness.ts';
import { LocalNode, LocalPair } from '../support/local-node.ts';
import { SessionHarness } from '../support/session-harness.ts';
import { waitFor } from '../support/wait-for.ts';

const directory = mkdtempSync(join(tmpdir(), 'beckon-notify-'));
const told = join(directory, 'told');
const config = `notify = ["sh", "-c", 'echo "$BECKON_EVENT $BECKON_FLIGHT_ID $BECKON_STATE $1" >> ${told}', "sh", "extra"]\n`;
let pair: LocalPair;
let harness: SessionHarness;
let asker: string;
let talker: string;

beforeAll(async () => {
  harness = new SessionHarness();
  pair = await new LocalPair().start([harness, new AskingHarness()], { config });
  asker = await pair.desktop.addAgent('asker', { harness: 'asking' });
  talker = await pair.desktop.addAgent('talker', { harness: 'talking' });
  await pair.knows(pair.laptop, talker);
}, 60_000);

afterAll(async () => {
  await pair[Symbol.asyncDispose]();
  rmSync(directory, { recursive: true, force: true });
});

const lines = (flightId: string): string[] => (existsSync(told) ? readFileSync(told, 'utf8').split('\n').filter((line) => line.includes(flightId)) : []);

test('with --notify, when it waits and when it has finished', async () => {
  const { flightId } = await pair.laptop.invoke(asker, 'approval may I?', { notify: true });
  await waitFor('it to be told that it waits', () => lines(flightId).length === 1);
  await pair.laptop.client.replyToFlight({ id: flightId, reply: { kind: 'approved' }, waitMs: 5000 });
  await waitFor('it to be told that it is over', () => lines(flightId).length === 2);
  expect(lines(flightId)).toEqual([`waiting ${flightId} waiting extra`, `finished ${flightId} completed extra`]);
  const quiet = await pair.laptop.invoke(asker, 'say hi');
  await pair.laptop.becomes(quiet.flightId, 'completed');
  expect(lines(quiet.flightId)).toEqual([]);
});

test('the end of a flight that went on while the origin was down is told when it is back, once', async () => {
  const { flightId } = await pair.laptop.invoke(talker, 'hold', { notify: true });
  await waitFor('it to begin', () => harness.turn('hold'));
  await pair.laptop[Symbol.asyncDispose]();
  harness.release('hold');
  await pair.desktop.becomes(flightId, 'completed');
  expect(lines(flightId)).toEqual([]);
  await pair.laptop.start({ harnesses: [harness, new AskingHarness()], config: `${config}notify_all = true\n` });
  await waitFor('it to be told', () => lines(flightId).length > 0);
  await pair.laptop[Symbol.asyncDispose]();
  await pair.laptop.start({ harnesses: [harness, new AskingHarness()], config: `${config}notify_all = true\n` });
  expect(lines(flightId)).toEqual([`finished ${flightId} completed extra`]);
}, 60_000);

test('with notify_all of every flight that begins here', async () => {
  await pair.laptop.sees(pair.desktop, 'alive');
  const { flightId } = await pair.laptop.invoke(asker, 'say hi');
  await waitFor('it to be told', () => lines(flightId).length > 0);
  expect(lines(flightId)).toEqual([`finished ${flightId} completed extra`]);
});

test('where nothing can show it, --notify is a warning, and the work goes on', async () => {
  const alone = new LocalNode('alone', pair.root);
  const agent = { harness: 'asking' };
  const path = process.env['PATH'];
  process.env['PATH'] = directory;
  try {
    await alone.start({ harnesses: [new AskingHarness()] });
    const address = await alone.addAgent('asker', agent);
    const { code, stdout, stderr } = await alone.cli('invoke', address, 'say hi', '--notify', '-q');
    expect([code, stdout, stderr]).toEqual([0, 'hi\n', expect.stringMatching(/^warning: nothing shows notifications on this machine/)]);
    const { events } = await alone.cli('invoke', address, 'say hi', '--notify', '--json');
    expect(events[0]).toMatchObject({ type: 'accepted', notes: [expect.stringContaining('config.toml')] });
    expect((await alone.cli('invoke', address, 'say hi', '--json')).events[0]).not.toHaveProperty('notes');
  } finally {
    process.env['PATH'] = path;
    await alone[Symbol.asyncDispose]();
  }
});

test('a config file that is wrong keeps the node from starting, and says where', async () => {
  const wrong = new LocalNode('wrong', pair.root);
  writeFileSync(join(wrong.home, 'config.toml'), 'notify_all = true\nnotifi = 1\n');
  await expect(wrong.start()).rejects.toMatchObject({ code: 'invalid', message: expect.stringMatching(/config\.toml:2:1: unknown key "notifi"/) });
  rmSync(join(wrong.home, 'config.toml'));
  await wrong.start();
  await wrong[Symbol.asyncDispose]();
});
