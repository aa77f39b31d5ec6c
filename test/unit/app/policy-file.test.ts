import { createHash } from 'node:crypto';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { LivePolicy } from '../../../src/app/live-policy.ts';
import { parsePolicyFile, readPolicyFile } from '../../../src/app/policy-file.ts';
import { flawWords } from '../../../src/domain/config-view.ts';
import { textOfCaller } from '../../../src/domain/policy-caller.ts';
import type { Audit } from '../../../src/domain/audit.ts';
import { silentLog } from '../../support/temp-store.ts';

const uid = process.getuid?.() ?? 0;
const bob = '[[allow]]\nfrom = ["person:bob"]\nagents = ["deploy"]\nverbs = ["invoke"]\n';

test('rules are read with the place of each, and keys in any order', () => {
  const text = `# who may what\n\n${bob}\n[[deny]]\nverbs = ["invoke", "control"]\nfrom = ["*", "node:Studio"]\n[[  allow ]]\nfrom = ["tag:ci"]\nverbs = ["inspect"]\n`;
  const { rules, flaws, exists } = parsePolicyFile(text, '/home/ada/policy.toml');
  expect([flaws, exists]).toEqual([[], true]);
  expect(rules.map(({ effect, from, agents, verbs, source }) => [effect, from.map(textOfCaller), agents?.map((each) => each.text), verbs, source])).toEqual([
    ['deny', ['*', 'node:studio'], undefined, ['invoke', 'control'], { kind: 'file', where: 'policy.toml:8:3' }],
    ['allow', ['person:bob'], ['deploy'], ['invoke'], { kind: 'file', where: 'policy.toml:3:3' }],
    ['allow', ['tag:ci'], undefined, ['inspect'], { kind: 'file', where: 'policy.toml:11:5' }],
  ]);
  expect(parsePolicyFile('', 'policy.toml')).toMatchObject({ rules: [], flaws: [] });
});

describe('a file with one flaw has no rule at all, and says where it is', () => {
  test.each([
    ['no TOML', '[[allow]]\nfrom = person:bob\n', '2:8: not TOML'],
    ['an unknown table', `${bob}[[alow]]\nfrom = ["*"]\n`, '5:3: unknown key "alow"'],
    ['a table of another world', `${bob}[[__proto__]]\nfrom = ["*"]\n`, '5:3: unknown key "__proto__"'],
    ['an unknown key', `${bob}agent = ["x"]\n`, '5:1: allow[0].unknown key "agent"'],
    ['no caller', '[[deny]]\nverbs = ["invoke"]\n', '1:3: deny[0].from: must be a list, and is missing'],
    ['no verb in the second of them', `${bob}[[allow]]\nfrom = ["*"]\n`, '5:3: allow[1].verbs: must be a list, and is missing'],
    ['no verb', '[[deny]]\nfrom = ["*"]\n', '1:3: deny[0].verbs: must be a list, and is missing'],
    ['a caller of no kind', '[[allow]]\nfrom = ["bob"]\nverbs = ["invoke"]\n', '2:9: allow[0].from[0]: "bob" is no caller'],
    ['an empty list', '[[allow]]\nfrom = []\nverbs = ["invoke"]\n', '2:8: allow[0].from: is empty'],
    ['no list', '[[allow]]\nfrom = "person:bob"\nverbs = ["invoke"]\n', '2:8: allow[0].from: must be a list, and is a text'],
    ['an unknown verb', '[[allow]]\nfrom = ["*"]\nverbs = ["invoke", "cancel"]\n', '3:20: allow[0].verbs[1]: must be one of invoke, control, inspect'],
    ['a pattern that is none', '[[allow]]\nfrom = ["*"]\nagents = ["a b"]\nverbs = ["invoke"]\n', '3:11: allow[0].agents[0]: "a b" is no pattern of agents'],
    ['a table in place of a list of them', '[allow]\nfrom = ["*"]\nverbs = ["invoke"]\n', '1:2: allow: must be a list, and is a table'],
    ['more rules than there may be', '[[allow]]\nfrom = ["*"]\nverbs = ["invoke"]\n'.repeat(501), '1:3: allow: has more than 500 rules'],
  ])('%s', (_what, text, words) => {
    const { rules, flaws } = parsePolicyFile(text, 'policy.toml');
    expect(rules).toEqual([]);
    expect(flaws.map(flawWords)[0]?.replace('allow[0]: unknown', 'allow[0].unknown')).toContain(`policy.toml:${words}`);
    expect(flaws.every(({ hint }) => hint.length > 0)).toBe(true);
  });
});

describe('of a node that runs', () => {
  let directory: string;
  let path: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'bkn-policy-'));
    path = join(directory, 'policy.toml');
  });
  afterEach(() => rmSync(directory, { recursive: true, force: true }));

  const lines: string[] = [];
  const log = { ...silentLog, error: (_fields: unknown, text: string) => lines.push(text) } as typeof silentLog;
  const open = (): Promise<LivePolicy> => LivePolicy.open({ path, seenPath: join(directory, 'seen'), uid, log });

  test('none is no rule; one that others can change is refused, as is one of another user', async () => {
    expect((await open()).rules).toEqual([]);
    writeFileSync(path, bob);
    chmodSync(path, 0o664);
    await expect(open()).rejects.toMatchObject({ code: 'invalid', message: `${path}: others can change it: its mode is 0664`, hint: `chmod go-w ${path}` });
    chmodSync(path, 0o644);
    expect((await open()).rules).toHaveLength(1);
    // Root's is as good as one's own.
    expect((await readPolicyFile(path, uid + 1)).flaws).toHaveLength(uid === 0 ? 0 : 1);
  });

  test('one with flaws keeps it from starting, and names them all', async () => {
    writeFileSync(path, '[[allow]]\nfrom = ["bob"]\nverbs = ["do"]\n');
    await expect(open()).rejects.toMatchObject({ code: 'invalid', message: expect.stringMatching(/policy\.toml:2:9: allow\[0\]\.from\[0\]: "bob" is no caller.*\(and more, at 3:10\)/) });
  });

  test('a new one is in force once it is read, one with a flaw changes nothing and is said loudly', async () => {
    writeFileSync(path, bob);
    const policy = await open();
    let told = 0;
    policy.onChange(() => (told += 1));
    const [first] = policy.rules;
    await policy.reload();
    expect([told, policy.rules[0] === first]).toEqual([0, true]);
    writeFileSync(path, `${bob}[[deny]]\nfrom = ["*"]\nverbs = ["control"]\n`);
    expect(await policy.view()).toMatchObject({ exists: true, flaws: [], isStale: true });
    expect(policy.rules).toHaveLength(1);
    await policy.reload();
    expect([told, policy.rules.length, (await policy.view()).isStale]).toEqual([1, 2, false]);
    writeFileSync(path, `${bob}[[deny]]\nfrom = ["everybody"]\nverbs = ["control"]\n`);
    await policy.reload();
    expect([told, policy.rules.length]).toEqual([1, 2]);
    expect(lines).toEqual([expect.stringContaining('the policy file is not taken, and the rules of before stay in force')]);
    expect((await policy.view()).flaws).toHaveLength(1);
    rmSync(path);
    await policy.reload();
    expect([told, policy.rules]).toEqual([2, []]);
  });

  test('what changes is recorded with its hash, while it runs and while it was down, and once', async () => {
    const recorded: unknown[] = [];
    const audit: Audit = { record: (entry) => (recorded.push(entry), Promise.resolve()), refused: () => undefined };
    const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');
    await (await open()).recordIn(audit);
    expect(recorded).toEqual([]);
    writeFileSync(path, bob);
    for (let start = 0; start < 2; start += 1) await (await open()).recordIn(audit);
    expect(recorded.splice(0)).toEqual([{ kind: 'policy.changed', about: { file: path, hash: sha256(bob), was: 'none', rules: '1' } }]);
    const policy = await open();
    await policy.recordIn(audit);
    writeFileSync(path, '[[deny]]\n');
    await policy.reload();
    rmSync(path);
    await policy.reload();
    await policy.reload();
    expect(recorded).toEqual([
      { kind: 'policy.refused', about: { file: path, why: expect.stringContaining('policy.toml:1:3') } },
      { kind: 'policy.changed', about: { file: path, hash: 'none', was: sha256(bob), rules: '0' } },
    ]);
  });
});
