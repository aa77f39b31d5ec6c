import { describe, expect, test } from 'vitest';
import { isForAgents } from '../../../src/harness/registry.ts';
import { capture } from '../../../src/supervisor/capture.ts';

const shell = {
  PATH: '/home/ada/bin:/usr/bin',
  HOME: '/home/ada',
  USER: 'ada',
  SHELL: '/bin/zsh',
  LANG: 'de_DE.UTF-8',
  TMPDIR: '/tmp/of-a-session',
  XDG_RUNTIME_DIR: '/run/user/1000',
  ANTHROPIC_API_KEY: 'key',
  HTTPS_PROXY: 'http://proxy',
  OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector',
  BECKON_TAILSCALE_API_KEY: 'tskey',
  BECKON_HOME: '/home/ada/.beckon',
  BECKON_TOKEN: 'of a flight',
  GITHUB_TOKEN: 'nobody asked for it',
  NODE_OPTIONS: '--inspect',
};

describe('what a service is given of the installing shell', () => {
  test('PATH, what agents of any kind get, what the node reads, and nothing else', () => {
    const { variables, notes } = capture(shell, isForAgents, []);
    expect(Object.keys(variables).toSorted()).toEqual(['ANTHROPIC_API_KEY', 'BECKON_TAILSCALE_API_KEY', 'HTTPS_PROXY', 'LANG', 'OTEL_EXPORTER_OTLP_ENDPOINT', 'PATH', 'SHELL']);
    expect(notes).toEqual([]);
  });

  test('what an agent was added with --env, too', () => {
    expect(capture(shell, isForAgents, ['GITHUB_TOKEN', 'NOT_SET']).variables).toMatchObject({ GITHUB_TOKEN: 'nobody asked for it' });
  });

  test.each([
    ['/run/user/1000/keyring/ssh', {}, true],
    ['/home/ada/.ssh/agent.sock', {}, true],
    ['/tmp/ssh-XXXXabcd/agent.77', {}, false],
    ['/tmp/ssh-XXXXabcd/agent.77', { SSH_CONNECTION: '192.0.2.1 1 192.0.2.2 22' }, false],
  ])('the socket of an ssh agent at %s: captured is what will be there after the next login', (path, more, isTaken) => {
    const { variables, notes } = capture({ ...shell, ...more, SSH_AUTH_SOCK: path }, isForAgents, []);
    expect([variables['SSH_AUTH_SOCK'] === path, notes.length]).toEqual(isTaken ? [true, 0] : [false, 1]);
  });
});
