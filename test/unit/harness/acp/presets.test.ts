import { mkdir, mkdtemp, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import type { Permissions } from '../../../../src/domain/invocation.ts';
import { agentCommand, environmentFor, isKnownCommand } from '../../../../src/harness/acp/command-line.ts';
import { fitOf } from '../../../../src/harness/acp/fit.ts';
import { loginState } from '../../../../src/harness/acp/login.ts';
import { modeFor } from '../../../../src/harness/acp/modes.ts';
import { anyAgent, passesOn, presets, signInFor } from '../../../../src/harness/acp/presets.ts';

const root = await realpath(await mkdtemp(join(tmpdir(), 'beckon-presets-')));
const home = join(root, 'home');
const bin = join(root, 'bin');
afterAll(() => rm(root, { recursive: true, force: true }));
beforeEach(async () => {
  for (const directory of [home, bin]) {
    await rm(directory, { recursive: true, force: true });
    await mkdir(directory);
  }
});

const preset = (name: string) => presets.find((each) => each.name === name) ?? anyAgent;
const put = async (path: string, text = 'x', mode = 0o600): Promise<void> => {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, text, { mode });
};
const install = (name: string): Promise<void> => put(join(bin, name), '#!/bin/sh\n', 0o755);

test('there is one for each agent that the command line names, and one for any', () => {
  expect([anyAgent, ...presets].map(({ name }) => name)).toEqual(['acp', 'claude', 'codex', 'gemini', 'opencode']);
});

describe('the environment that it passes on', () => {
  const node = {
    HOME: home,
    ANTHROPIC_API_KEY: 'a',
    CLAUDE_CONFIG_DIR: 'c',
    CLAUDE_CODE_SSE_PORT: '1',
    CLAUDECODE: '1',
    IS_SANDBOX: '1',
    OPENAI_API_KEY: 'o',
    CODEX_HOME: 'x',
    GEMINI_API_KEY: 'g',
    GOOGLE_GEMINI_BASE_URL: 'u',
    OPENCODE_CONFIG: 'p',
    HTTPS_PROXY: 'proxy',
    SECRET: 's',
  };
  test.each([
    ['acp', ['HTTPS_PROXY']],
    ['claude', ['ANTHROPIC_API_KEY', 'CLAUDE_CONFIG_DIR', 'HTTPS_PROXY', 'IS_SANDBOX']],
    ['codex', ['CODEX_HOME', 'HTTPS_PROXY', 'OPENAI_API_KEY']],
    ['gemini', ['GEMINI_API_KEY', 'GOOGLE_GEMINI_BASE_URL', 'HTTPS_PROXY']],
    ['opencode', ['HTTPS_PROXY', 'OPENCODE_CONFIG']],
  ])('is for %s what it needs, and nothing of the others', (name, passed) => {
    const env = environmentFor(preset(name), node, { env: [], path: bin, permissions: 'full' }, {});
    expect(Object.keys(env).toSorted()).toEqual([...passed, 'HOME', 'PATH'].toSorted());
  });

  test('a name is whole, a star stands at the end', () => {
    expect(passesOn({ variables: ['A_*', 'B'], withheld: ['A_X'] }, 'A_Y')).toBe(true);
    expect(['A_X', 'A', 'BB', 'XA_Y'].filter((name) => passesOn({ variables: ['A_*', 'B'], withheld: ['A_X'] }, name))).toEqual([]);
  });

  test('OpenCode is told to ask, unless it may do all or its user says himself', () => {
    const said = (given: Permissions, env: string[] = []) => environmentFor(preset('opencode'), {}, { env, path: bin, permissions: given }, {})['OPENCODE_PERMISSION'];
    expect(JSON.parse(said('ask') ?? '')).toMatchObject({ edit: 'ask', bash: 'ask' });
    expect(said('edit')).toBe(said('ask'));
    expect(said('full')).toBeUndefined();
    expect(said('ask', ['OPENCODE_PERMISSION={}'])).toBe('{}');
  });
});

describe('the command', () => {
  const at = { path: bin, cwd: root };

  test('is the first of its programs that is found, with its arguments', async () => {
    await install('claude-code-acp');
    await install('gemini');
    expect(await agentCommand(preset('claude'), { argv: [], ...at })).toEqual({ file: join(bin, 'claude-code-acp'), argv0: 'claude-code-acp', args: [] });
    expect(await agentCommand(preset('gemini'), { argv: [], ...at })).toEqual({ file: join(bin, 'gemini'), argv0: 'gemini', args: ['--acp'] });
    await install('claude-agent-acp');
    expect((await agentCommand(preset('claude'), { argv: [], ...at })).argv0).toBe('claude-agent-acp');
  });

  test('that is given goes before, as it is', async () => {
    await install('gemini');
    await install('mine');
    expect(await agentCommand(preset('gemini'), { argv: ['mine', '-x'], ...at })).toEqual({ file: join(bin, 'mine'), argv0: 'mine', args: ['-x'] });
    expect(isKnownCommand(preset('gemini'), { argv: ['mine', '-x'] })).toBe(false);
    expect(isKnownCommand(preset('gemini'), { argv: ['/opt/bin/gemini', '--acp'] })).toBe(true);
  });

  test('that is missing is named, with how to get it', async () => {
    await expect(agentCommand(preset('codex'), { argv: [], ...at })).rejects.toMatchObject({ code: 'unavailable', message: expect.stringContaining('Codex is not installed: no codex-acp'), hint: expect.stringContaining('npm install -g @zed-industries/codex-acp') });
    await expect(agentCommand(anyAgent, { argv: [], ...at })).rejects.toMatchObject({ code: 'invalid' });
  });
});

describe('a login', () => {
  const state = (name: string, env: Record<string, string> = {}, platform: NodeJS.Platform = 'linux') => loginState(preset(name).login, { HOME: home, ...env }, platform);

  test.each(['claude', 'codex', 'gemini'])('of %s is missing in an empty home', async (name) => {
    expect(await state(name)).toBe('out');
    expect(await loginState(preset(name).login, {}, 'linux')).toBe('unknown');
  });

  test.each([
    ['claude', { ANTHROPIC_API_KEY: 'x' }],
    ['claude', { CLAUDE_CODE_OAUTH_TOKEN: 'x' }],
    ['codex', { OPENAI_API_KEY: 'x' }],
    ['gemini', { GEMINI_API_KEY: 'x' }],
  ])('of %s shows in a variable', async (name, env) => {
    expect(await state(name, env as unknown as Record<string, string>)).toBe('in');
    expect(await state(name, Object.fromEntries(Object.keys(env).map((key) => [key, ''])))).toBe('out');
  });

  test.each([
    ['claude', '.claude/.credentials.json', '{"claudeAiOauth":{}}'],
    ['claude', '.claude/settings.json', '{"apiKeyHelper":"~/key.sh"}'],
    ['claude', '.claude.json', '{"primaryApiKey":"sk"}'],
    ['codex', '.codex/auth.json', '{}'],
    ['codex', '.codex/config.toml', 'model_provider = "mine"\n'],
    ['gemini', '.gemini/oauth_creds.json', '{}'],
    ['gemini', '.gemini/.env', 'GEMINI_API_KEY=x\n'],
  ])('of %s shows in ~/%s', async (name, path, text) => {
    await put(join(home, path), text);
    expect(await state(name)).toBe('in');
  });

  test('does not show in a file that says nothing of it, or nothing at all', async () => {
    await put(join(home, '.claude/settings.json'), '{"model":"opus"}');
    await put(join(home, '.claude/.credentials.json'), '');
    expect(await state('claude')).toBe('out');
  });

  test('is looked for where the agent’s own variable says', async () => {
    await put(join(root, 'elsewhere', 'auth.json'), '{}');
    expect(await state('codex', { CODEX_HOME: join(root, 'elsewhere') })).toBe('in');
  });

  test('may be in a keychain, where nobody can look: it counts as there', async () => {
    expect(await state('claude', {}, 'darwin')).toBe('unknown');
    expect(await state('codex', {}, 'darwin')).toBe('out');
  });

  test('is not asked of an agent that needs none', async () => {
    expect([await state('opencode'), await state('acp')]).toEqual(['unknown', 'unknown']);
  });
});

describe('a way to sign in', () => {
  test('is one that the agent offers and whose variables are all set', () => {
    const offered = [{ id: 'oauth', variables: undefined }, { id: 'gemini-api-key', variables: undefined }, { id: 'vertex-ai', variables: undefined }];
    expect(signInFor(preset('gemini'), offered, { GEMINI_API_KEY: 'x' })).toBe('gemini-api-key');
    expect(signInFor(preset('gemini'), offered, { GOOGLE_API_KEY: 'x', GOOGLE_GENAI_USE_VERTEXAI: 'true' })).toBe('vertex-ai');
    expect(signInFor(preset('gemini'), offered, { GOOGLE_API_KEY: 'x' })).toBeUndefined();
    expect(signInFor(preset('gemini'), [], { GEMINI_API_KEY: 'x' })).toBeUndefined();
  });

  test('may name its variables itself, and is never one without any', () => {
    expect(signInFor(anyAgent, [{ id: 'key', variables: ['MY_KEY'] }], { MY_KEY: 'x' })).toBe('key');
    expect(signInFor(anyAgent, [{ id: 'key', variables: ['MY_KEY'] }], { MY_KEY: '' })).toBeUndefined();
    expect(signInFor(anyAgent, [{ id: 'browser', variables: [] }], {})).toBeUndefined();
  });
});

describe('the mode of an agent', () => {
  const modes = { currentModeId: 'default', availableModes: ['default', 'read-only', 'acceptEdits', 'auto', 'full-access', 'bypassPermissions', 'yolo'].map((id) => ({ id })) };

  test.each([
    ['claude', 'default', 'bypassPermissions'],
    ['codex', 'read-only', 'full-access'],
    ['gemini', 'default', 'yolo'],
    ['opencode', undefined, undefined],
    ['acp', undefined, 'bypassPermissions'],
  ])('of %s is one in which it asks, but for `full`', (name, asking, free) => {
    expect([modeFor(preset(name), 'ask', modes), modeFor(preset(name), 'edit', modes), modeFor(preset(name), 'full', modes)]).toEqual([asking, asking, free]);
  });

  test('is one that it offers', () => {
    expect(modeFor(preset('claude'), 'full', { currentModeId: 'x', availableModes: [{ id: 'x' }] })).toBeUndefined();
    expect(modeFor(preset('claude'), 'full', undefined)).toBeUndefined();
  });
});

describe('a project', () => {
  test('fits an agent by what lies in it, its own before what is for any', async () => {
    expect(await fitOf(preset('claude'), home)).toBeUndefined();
    await put(join(home, 'AGENTS.md'));
    expect(await Promise.all(['claude', 'codex', 'gemini', 'opencode', 'acp'].map((name) => fitOf(preset(name), home)))).toEqual([undefined, { mark: 'AGENTS.md', isItsOwn: false }, undefined, { mark: 'AGENTS.md', isItsOwn: false }, undefined]);
    await mkdir(join(home, '.codex'));
    expect(await fitOf(preset('codex'), home)).toEqual({ mark: '.codex', isItsOwn: true });
    await mkdir(join(home, '.claude'));
    expect(await fitOf(preset('claude'), home)).toEqual({ mark: '.claude', isItsOwn: true });
  });
});
