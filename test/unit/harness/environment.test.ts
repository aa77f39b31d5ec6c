import { describe, expect, test } from 'vitest';
import { agentEnvironment } from '../../../src/harness/environment.ts';

const base = {
  PATH: '/node/bin',
  HOME: '/home/ada',
  USER: 'ada',
  LOGNAME: 'ada',
  SHELL: '/bin/zsh',
  LANG: 'de_DE.UTF-8',
  LC_ALL: 'C',
  LC_TIME: 'en_GB',
  TMPDIR: '/var/tmp',
  SSH_AUTH_SOCK: '/run/ssh',
  GNUPGHOME: '/home/ada/.gnupg',
  GPG_TTY: '/dev/pts/1',
  AWS_SECRET_ACCESS_KEY: 'secret',
  BECKON_HOME: '/home/ada/.beckon',
  NODE_OPTIONS: '--inspect',
  ANTHROPIC_API_KEY: 'key',
  LCX: 'no locale',
};
const endpoint = (env: readonly string[] = [], path = '/captured/bin') => ({ env, path });

describe('the environment of an agent', () => {
  test('has the user, the shell, the locale, the temporary directory and the key agents, with PATH as captured, and nothing else of the node', () => {
    expect(agentEnvironment(base, endpoint(), {})).toEqual({
      PATH: '/captured/bin',
      HOME: '/home/ada',
      USER: 'ada',
      LOGNAME: 'ada',
      SHELL: '/bin/zsh',
      LANG: 'de_DE.UTF-8',
      LC_ALL: 'C',
      LC_TIME: 'en_GB',
      TMPDIR: '/var/tmp',
      SSH_AUTH_SOCK: '/run/ssh',
      GNUPGHOME: '/home/ada/.gnupg',
    });
  });

  test('NAME passes the node’s own value on, and nothing when it has none', () => {
    const env = agentEnvironment(base, endpoint(['ANTHROPIC_API_KEY', 'NOT_SET', 'toString']), {});
    expect(env['ANTHROPIC_API_KEY']).toBe('key');
    expect(Object.keys(env)).not.toContain('NOT_SET');
    expect(Object.hasOwn(env, 'toString')).toBe(false);
  });

  test('NAME=VALUE is taken as it stands, with equals signs, empty values and names that objects find special', () => {
    const env = agentEnvironment({}, endpoint(['A=b=c', 'EMPTY=', '__proto__=x', 'LANG=C']), {});
    expect(Object.entries(env)).toEqual([['PATH', '/captured/bin'], ['A', 'b=c'], ['EMPTY', ''], ['__proto__', 'x'], ['LANG', 'C']]);
  });

  test('the flight’s variables win over the endpoint’s, the endpoint’s over the node’s', () => {
    const env = agentEnvironment(base, endpoint(['HOME=/elsewhere', 'BECKON_FLIGHT_ID=forged', 'PATH=/own']), { BECKON_FLIGHT_ID: 'flt_1' });
    expect(env).toMatchObject({ HOME: '/elsewhere', BECKON_FLIGHT_ID: 'flt_1', PATH: '/own' });
  });

  test.each([['=value'], [''], ['NAME=a\0b']])('%j is refused without showing its value', (entry) => {
    expect(() => agentEnvironment(base, endpoint([entry]), {})).toThrow(expect.objectContaining({ code: 'invalid', message: expect.not.stringMatching(/value|a.b/) }));
  });
});
