import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { paths } from '../../../src/app/paths.ts';

describe('where a node keeps what it has', () => {
  test('all of it is below BECKON_HOME when that is set', () => {
    expect(paths({ BECKON_HOME: '/srv/b/', XDG_STATE_HOME: '/x' }, 'linux', '/home/ada', 501)).toEqual({
      home: '/srv/b',
      configFile: '/srv/b/config.toml',
      policyFile: '/srv/b/policy.toml',
      environmentFile: '/srv/b/service.env',
      stateDir: '/srv/b',
      dbFile: '/srv/b/beckon.db',
      epochFile: '/srv/b/beckon.epoch',
      auditFile: '/srv/b/beckon.audit',
      policySeenFile: '/srv/b/beckon.policy',
      tracesFile: '/srv/b/beckon.traces',
      cloneFile: '/srv/b/clone.json',
      lockFile: '/srv/b/beckon.lock',
      keyFile: '/srv/b/trust/node.key',
      trustDir: '/srv/b/trust',
      logDir: '/srv/b/logs',
      worktreesDir: '/srv/b/worktrees',
      socketPath: '/srv/b/run/control.sock',
    });
  });

  test('a relative BECKON_HOME is made absolute', () => {
    expect(paths({ BECKON_HOME: 'here' }, 'linux', '/home/ada', 501).home).toBe(`${process.cwd()}/here`);
  });

  test('Linux has the XDG directories', () => {
    const own = paths({ XDG_STATE_HOME: '/state', XDG_CONFIG_HOME: '/conf' }, 'linux', '/home/ada', 501);
    expect(own).toMatchObject({ stateDir: '/state/beckon', configFile: '/conf/beckon/config.toml' });
    expect(own).not.toHaveProperty('home');
  });

  test.each([[{}], [{ BECKON_HOME: '', XDG_STATE_HOME: '', XDG_CONFIG_HOME: 'relative' }]])('their defaults are used for %j', (env) => {
    expect(paths(env, 'linux', '/home/ada', 501)).toMatchObject({ stateDir: '/home/ada/.local/state/beckon', configFile: '/home/ada/.config/beckon/config.toml' });
  });

  test('the socket is the same for a desktop shell and one over ssh', () => {
    expect(paths({ XDG_RUNTIME_DIR: '/run/user/501' }, 'linux', '/home/ada', 501)).toEqual(paths({}, 'linux', '/home/ada', 501));
  });

  test('macOS has its Application Support', () => {
    const support = '/Users/ada/Library/Application Support/beckon';
    expect(paths({ XDG_STATE_HOME: '/x' }, 'darwin', '/Users/ada', 501)).toMatchObject({ stateDir: support, configFile: `${support}/config.toml` });
  });

  test('a socket path that the system could not take becomes a short one, the same each time and another for each home', () => {
    const long = `/tmp/${'é'.repeat(45)}`;
    const short = paths({ BECKON_HOME: long }, 'linux', '/home/ada', 501).socketPath;
    expect(short).toBe(`/tmp/beckon-501/${createHash('sha256').update(long).digest('hex').slice(0, 16)}.sock`);
    expect(paths({ BECKON_HOME: `${long}x` }, 'linux', '/home/ada', 501).socketPath).not.toBe(short);
    const limit = `/${'x'.repeat(100 - '//run/control.sock'.length)}`;
    expect(paths({ BECKON_HOME: limit }, 'linux', '/home/ada', 501).socketPath).toHaveLength(100);
    expect(paths({ BECKON_HOME: `${limit}x` }, 'linux', '/home/ada', 501).socketPath).toMatch(/^\/tmp\/beckon-501\//);
  });
});
