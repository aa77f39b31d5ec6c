import { describe, expect, test } from 'vitest';
import { about, settingKeys } from '../../../src/app/config.ts';
import { parseConfigFile } from '../../../src/app/config-file.ts';
import { settingViews } from '../../../src/app/config-view.ts';
import { flagsOf, resolveSettings, variableOf } from '../../../src/app/settings.ts';
import type { Givers } from '../../../src/app/settings.ts';
import { flawWords } from '../../../src/domain/config-view.ts';

const givers = (changes: Partial<Omit<Givers, 'file'>> & { text?: string }): Givers => ({ given: {}, env: {}, remembered: {}, ...changes, file: parseConfigFile(changes.text ?? '', '/home/ada/config.toml') });
const sourcesOf = (changes: Parameters<typeof givers>[0]): string[] => resolveSettings(givers(changes)).said.listen.map(({ from, where, value }) => `${from} ${where} ${String(value)}`);
const flawsOf = (env: Record<string, string>): string[] => resolveSettings(givers({ env })).flaws.map((each) => `${flawWords(each)} | ${each.hint}`);

describe('who says what of a setting', () => {
  const all = { given: { listen: ['a:1'] }, env: { BECKON_LISTEN: 'b:1' }, remembered: { listen: ['c:1'] }, text: '\nlisten = ["d:1"]' };

  test('a flag goes before the environment, that before an earlier up, that before the file', () => {
    expect(sourcesOf(all)).toEqual(['flag --listen a:1', 'environment BECKON_LISTEN b:1', 'remembered --listen c:1', 'file /home/ada/config.toml:2:10 d:1']);
    expect(resolveSettings(givers(all)).settings).toEqual({ listen: ['a:1'] });
    expect(resolveSettings(givers({ ...all, given: {} })).settings).toEqual({ listen: ['b:1'] });
    expect(resolveSettings(givers({ ...all, given: {}, env: {} })).settings).toEqual({ listen: ['c:1'] });
    expect(resolveSettings(givers({ text: all.text })).settings).toEqual({ listen: ['d:1'] });
  });

  test('each that has a flag of `up` is taken from it, and remembered as it', () => {
    const flags = { name: 'studio', listen: ['a:1'], gossipListen: 'off', seeds: ['b:1'], tailscale: 'off', metrics: '127.0.0.1:7425' };
    const { settings, said } = resolveSettings(givers({ given: flags }));
    expect(settingKeys.filter((key) => said[key].some(({ from }) => from === 'flag'))).toEqual(settingKeys.filter((key) => about[key].flag !== undefined));
    expect(flagsOf(settings)).toEqual(flags);
  });

  test('an empty variable says nothing', () => {
    expect(resolveSettings(givers({ env: { BECKON_LISTEN: '', BECKON_NOTIFY_ALL: '' } }))).toMatchObject({ settings: {}, flaws: [] });
  });
});

describe('a variable of the environment', () => {
  test('is read as its setting is written: a list by commas, or as the file has it', () => {
    const env = {
      BECKON_NAME: 'Studio',
      BECKON_LISTEN: '192.168.1.5, [fd7a::1]:7000',
      BECKON_SEEDS: 'desktop',
      BECKON_GOSSIP_LISTEN: 'off',
      BECKON_TAILSCALE: '/run/tailscaled.sock',
      BECKON_LOG_LEVEL: 'debug',
      BECKON_LOG_SIZE_MB: '2',
      BECKON_LOG_FILES: '3',
      BECKON_NOTIFY: '["say", "one, two"]',
      BECKON_NOTIFY_ALL: 'true',
      BECKON_REQUEST_TIMEOUT: '1h',
      BECKON_HELD_LIMIT: '500',
      BECKON_ROOTS: '~/src,/srv/work',
    };
    expect(resolveSettings(givers({ env }))).toMatchObject({
      flaws: [],
      settings: {
        name: 'studio',
        listen: ['192.168.1.5:7423', '[fd7a::1]:7000'],
        seeds: ['desktop:7423'],
        gossip_listen: 'off',
        tailscale: '/run/tailscaled.sock',
        log_level: 'debug',
        log_size_mb: 2,
        log_files: 3,
        notify: ['say', 'one, two'],
        notify_all: true,
        request_timeout: '1h',
        held_limit: 500,
        roots: ['~/src', '/srv/work'],
      },
    });
    expect(variableOf('projects')).toBeUndefined();
  });

  test.each([
    [{ BECKON_LOG_LEVEL: 'loud' }, 'BECKON_LOG_LEVEL: must be one of debug, info, warn, error | for example: BECKON_LOG_LEVEL=debug'],
    [{ BECKON_LISTEN: 'a:1,laptop:99999' }, 'BECKON_LISTEN: "laptop:99999" is not host:port: a port is a number from 0 to 65535 | for example: BECKON_LISTEN=192.168.1.5:7423'],
    [{ BECKON_NOTIFY_ALL: 'yes' }, 'BECKON_NOTIFY_ALL: must be true or false | for example: BECKON_NOTIFY_ALL=true'],
    [{ BECKON_LOG_FILES: 'many' }, 'BECKON_LOG_FILES: must be a whole number | for example: BECKON_LOG_FILES=5'],
    [{ BECKON_LOG_FILES: '0' }, 'BECKON_LOG_FILES: is less than 1 | for example: BECKON_LOG_FILES=5'],
    [{ BECKON_SEEDS: ' , ' }, 'BECKON_SEEDS: names no address | for example: BECKON_SEEDS=192.168.1.6:7423'],
    [{ BECKON_ROOTS: '["~/src"' }, 'BECKON_ROOTS: begins with [ and is no list | for example: BECKON_ROOTS=~/src,/srv/work, or as the file has it: roots = ["~/src", "/srv/work"]'],
  ])('with a wrong value is named: %o', (env, words) => {
    expect(flawsOf(env as unknown as Record<string, string>)).toEqual([words]);
  });
});

describe('what is shown', () => {
  const text = 'notify = ["curl", "-H", "Authorization: Bearer hunter2"]\n[projects."/a"]\ncommand = ["./run", "--key=hunter2"]\nenv = ["TOKEN=hunter2", "PATH"]\n';
  const now = resolveSettings(givers({ text, env: { BECKON_LISTEN: 'b:1' }, remembered: { listen: ['c:1'] } }));

  test('has no secret: no argument of a program, no value of a variable', () => {
    const views = settingViews(now, resolveSettings(givers({ text: text.replace('curl', 'wget') })));
    expect(JSON.stringify(views)).not.toContain('hunter2');
    expect(views.find(({ key }) => key === 'projects')?.value).toEqual({ '/a': { command: ['./run', '[redacted]'], env: ['TOKEN=[redacted]', 'PATH'] } });
    expect(views.find(({ key }) => key === 'notify')).toMatchObject({ value: ['curl', '[redacted]', '[redacted]'], waiting: { value: ['wget', '[redacted]', '[redacted]'], needs: 'reload' } });
  });

  test('names who is overruled, what is by default, and what waits for a restart', () => {
    const views = settingViews(now, resolveSettings(givers({ text: 'listen = ["d:1"]', remembered: {} })));
    expect(views.find(({ key }) => key === 'listen')).toMatchObject({ value: ['b:1'], from: 'environment', overruled: [{ from: 'remembered', value: ['c:1'] }], waiting: { value: ['d:1'], from: 'file', needs: 'restart' } });
    expect(views.find(({ key }) => key === 'log_level')).toEqual({ key: 'log_level', value: 'info', from: 'default', where: '', overruled: [] });
    expect(views.find(({ key }) => key === 'name')).toMatchObject({ value: null, from: 'default' });
  });
});
