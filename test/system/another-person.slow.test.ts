/** Two people, one mesh: from Bob's node everything is tried that the commands allow against what is Ada's. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { attempts, flawOf, lastAttempts } from '../support/attempts.ts';
import type { Attempt } from '../support/attempts.ts';
import { GitRepository } from '../support/git-repository.ts';
import { adasOwn, secret, twoPeople } from '../support/two-people.ts';
import type { TwoPeople } from '../support/two-people.ts';

/** Each is a process of its own. */
const atOnce = 4;

let people: TwoPeople;
let before: unknown;

beforeAll(async () => {
  people = await twoPeople();
  GitRepository.make(people.cluster.path('bobs'), { 'a.txt': 'a\n' });
  before = await adasOwn(people);
}, 60_000);
afterAll(async () => {
  people?.cluster.open('gate');
  await people?.cluster[Symbol.asyncDispose]();
});

async function made(attempt: Attempt): Promise<string | undefined> {
  const { studio, cluster } = people;
  const args = attempt.args(people);
  const run = studio.start(attempt.isPlain === true ? args : [...args, '--json'], { env: { HOME: cluster.path('studio') }, ...(attempt.stdin === undefined ? {} : { stdin: attempt.stdin }) });
  if (attempt.until !== undefined) {
    await run.says(attempt.until);
    run.signal('SIGINT');
  }
  const { code, text, stderr } = await run.ended;
  const flaw = flawOf(attempt, code, text + stderr);
  return flaw === undefined ? undefined : `beckon ${args.join(' ')}: ${flaw}`;
}

describe('from the node of another person', () => {
  test('what got through is what README says, and no answer has a word of her tasks, outputs, questions, directories, commands or environments', async () => {
    const left = attempts.values();
    const flaws: string[] = [];
    const next = async (): Promise<void> => {
      for (const each of left) flaws.push(...[await made(each)].filter((flaw) => flaw !== undefined));
    };
    await Promise.all(Array.from({ length: atOnce }, next));
    expect(flaws).toEqual([]);
  }, 120_000);

  test('nothing of hers has changed by it, and nothing ran', async () => {
    expect(await adasOwn(people)).toEqual(before);
    const { flights } = await people.laptop.json(['flights', '--limit', '100']);
    const ofOthers = (flights as Record<string, string>[]).filter(({ origin }) => origin === 'studio');
    expect([...new Set(ofOthers.map(({ target }) => target))]).toEqual(['@open@laptop#main']);
  });

  test('her node has written down what it refused him, and his node has nothing of hers in its store and log', () => {
    const { laptop, studio } = people;
    expect(laptop.log).toMatch(/"reason":"denied".*an invocation was refused/);
    for (const file of ['beckon.db', 'beckon.db-wal', join('logs', 'node.log')]) {
      expect([file, readFileSync(join(studio.home, file)).includes(secret)]).toEqual([file, false]);
    }
  });

  test('what he does with his own flight, name, agents and node is his, and hers stay as they are', async () => {
    for (const each of lastAttempts) expect(await made(each)).toBeUndefined();
    const { members: _asTheyAreNow, ...now } = (await adasOwn(people)) as Record<string, unknown>;
    const { members: _asTheyWere, ...then } = before as Record<string, unknown>;
    expect(now).toEqual(then);
  }, 90_000);
});
