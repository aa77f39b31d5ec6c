import { mkdir, mkdtemp, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import type { Answer } from '../../../../src/domain/request.ts';
import { isInside } from '../../../../src/harness/acp/inside.ts';
import { askFor, isAllowed, outcomeOf } from '../../../../src/harness/acp/permission.ts';
import type { KnownCall } from '../../../../src/harness/acp/updates.ts';

const root = await realpath(await mkdtemp(join(tmpdir(), 'beckon-inside-')));
afterAll(() => rm(root, { recursive: true, force: true }));

const option = (kind: string) => ({ optionId: kind, name: kind, kind });
const call = (of: Partial<KnownCall>): KnownCall => ({ call: 'a', title: 'Write a.txt', tool: 'edit', work: 'edit', state: 'pending', paths: [], changes: [], command: undefined, ...of });
const [yes, no]: Answer[] = [{ kind: 'approved', by: 'ada' }, { kind: 'denied', by: 'ada' }];

describe('what an agent is told of an answer', () => {
  test.each([
    [yes, ['allow_always', 'allow_once', 'reject_once'], 'allow_once'],
    [yes, ['reject_once', 'allow_always'], 'allow_always'],
    [yes, ['reject_once'], undefined],
    [no, ['allow_once', 'reject_always', 'reject_once'], 'reject_once'],
    [no, ['allow_once', 'reject_always'], undefined],
    [{ kind: 'timeout' }, ['allow_once', 'reject_once'], 'reject_once'],
    [{ kind: 'text', text: 'yes', by: 'ada' }, ['allow_once', 'reject_once'], 'reject_once'],
    [{ kind: 'ended' }, ['allow_once', 'reject_once'], undefined],
  ] as [Answer, string[], string | undefined][])('%j of %j', (answer, kinds, chosen) => {
    expect(outcomeOf(answer, kinds.map(option))).toEqual(chosen === undefined ? { outcome: 'cancelled' } : { outcome: 'selected', optionId: chosen });
  });
});

describe('what people are asked', () => {
  test('is the title, the command, the changes and the other places, a line each', () => {
    const changes = [{ path: 'a.txt', digest: '', added: 3, removed: 1 }];
    expect(askFor('/p', call({ paths: ['/p/a.txt', '/p/b', '/etc/x'], changes }), [option('allow_once')])).toEqual({ reason: 'approval', prompt: 'Write a.txt\nchange: a.txt (+3 −1)\npath: b\npath: /etc/x', choices: ['allow_once'] });
    expect(askFor('/p', call({ title: 'Run tests', command: 'npm test' }), []).prompt).toBe('Run tests\ncommand: npm test');
    expect(askFor('/p', call({ title: '`npm test`', command: 'npm test' }), []).prompt).toBe('`npm test`');
    expect(askFor('/p', call({ title: '' }), []).prompt).toBe('edit');
  });
});

describe('what needs no asking', () => {
  const project = join(root, 'project');

  test('is inside of a directory: links are followed, what is not there yet counts by where it would be', async () => {
    await mkdir(join(project, 'src'), { recursive: true });
    await writeFile(join(project, 'a'), '');
    await symlink(root, join(project, 'out'));
    await symlink('loop', join(project, 'loop'));
    const inside = ['a', 'src/new/file', '.', join(project, 'a'), 'src/../a', '..a', '.github/x', 'a.git'];
    const outside = ['..', '../x', '/etc/passwd', 'out/x', 'src/../../x', 'loop/x', 'a\0b', 'a/b', '.git/hooks/pre-commit', '.GIT/config', 'sub/.git'];
    expect(await Promise.all(inside.map((path) => isInside(project, path)))).toEqual(inside.map(() => true));
    expect(await Promise.all(outside.map((path) => isInside(project, path)))).toEqual(outside.map(() => false));
    await symlink(project, join(root, 'alias'));
    expect(await isInside(join(root, 'alias'), join(project, 'a'))).toBe(true);
  });

  test('with `edit` is to read and edit where all that is named is inside; with `full` all; with `ask` nothing', async () => {
    const inside = { paths: [join(project, 'a')] };
    expect(await isAllowed('edit', project, call(inside))).toBe(true);
    expect(await isAllowed('edit', project, call({ work: 'read', ...inside }))).toBe(true);
    expect(await isAllowed('edit', project, call({ paths: [join(project, 'a'), '/etc/x'] }))).toBe(false);
    expect(await isAllowed('edit', project, call({ ...inside, changes: [{ path: '/etc/x', digest: '', added: 0, removed: 0 }] }))).toBe(false);
    expect(await isAllowed('edit', project, call({ paths: [] }))).toBe(false);
    for (const work of ['execute', 'delete', 'move', 'fetch', 'other', undefined]) expect(await isAllowed('edit', project, call({ work, ...inside }))).toBe(false);
    expect(await isAllowed('ask', project, call(inside))).toBe(false);
    expect(await isAllowed('full', project, call({ work: 'execute' }))).toBe(true);
  });
});
