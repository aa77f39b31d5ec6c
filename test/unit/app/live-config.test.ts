import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { LiveConfig } from '../../../src/app/live-config.ts';
import { writeRemembered } from '../../../src/app/remembered.ts';
import type { LogLevel } from '../../../src/domain/log-fields.ts';
import type { Log } from '../../../src/domain/ports.ts';

let stateDir = '';
let configFile = '';
let said: string[] = [];
let level: LogLevel = 'info';
beforeEach(() => {
  stateDir = mkdtempSync(join(tmpdir(), 'beckon-live-'));
  configFile = join(stateDir, 'config.toml');
  said = [];
  level = 'info';
});
afterEach(() => rmSync(stateDir, { recursive: true }));

const order = ['debug', 'info', 'warn', 'error'];
const note = (of: LogLevel) => (_fields: object, message: string): void => void (order.indexOf(of) >= order.indexOf(level) && said.push(`${of} ${message}`));
const log: Log = { debug: note('debug'), info: note('info'), warn: note('warn'), error: note('error') };

async function opened(text: string, given = {}): Promise<{ config: LiveConfig; changes: string[] }> {
  writeFileSync(configFile, text);
  const config = await LiveConfig.open({ paths: { configFile, stateDir }, env: { BECKON_LOG_FILES: '3' }, given, remembered: {}, log });
  const changes: string[] = [];
  config.onChange((changed) => {
    changes.push([...changed].join());
    level = config.now.logLevel;
  });
  return { config, changes };
}

describe('the settings of a node that runs', () => {
  test('that are wrong keep it from starting, with the place', async () => {
    await expect(opened('notify_all = 1')).rejects.toMatchObject({ code: 'invalid', message: expect.stringContaining('config.toml:1:14: notify_all: must be true or false') });
  });

  test('are read again when it is told: what can change changes, the rest is named and waits', async () => {
    const { config, changes } = await opened('listen = ["a:1"]\nnotify_all = true\n');
    writeFileSync(configFile, 'listen = ["b:1"]\nseeds = ["c:1"]\nrequest_timeout = "1h"\nroots = ["/src"]\n');
    await config.reload();
    expect(config.now).toMatchObject({ listen: ['a:1'], notifyAll: false, requestMs: 3_600_000, roots: ['/src'], logFiles: 3 });
    expect(config.now).not.toHaveProperty('seeds');
    expect([config.notifyAll, config.requestMs, config.flags]).toEqual([false, 3_600_000, { listen: ['a:1'] }]);
    expect(changes).toEqual(['notify_all,request_timeout,roots']);
    expect(said).toEqual(['info the config file was read again: changed notify_all, request_timeout, roots', 'warn what the config file says now waits for a restart: listen, seeds']);
    const { settings, flaws } = await config.view();
    expect([flaws, settings.filter(({ waiting }) => waiting !== undefined).map(({ key, waiting }) => `${key} ${String(waiting?.value)} ${waiting?.needs}`)]).toEqual([[], ['listen b:1 restart', 'seeds c:1 restart']]);
  });

  test('stay as they are when the file is broken, and it is said where', async () => {
    const { config, changes } = await opened('notify_all = true\n');
    writeFileSync(configFile, 'notify_all = false\nlog_level = \n');
    await config.reload();
    expect([config.notifyAll, changes]).toEqual([true, []]);
    expect(said).toEqual([expect.stringMatching(/^error the config file is not taken, and nothing is changed: .*config\.toml:2:13: not TOML/)]);
    await expect(config.view()).resolves.toMatchObject({ flaws: [{ line: 2, column: 13 }], settings: expect.arrayContaining([expect.objectContaining({ key: 'notify_all', value: true })]) });
  });

  test('that were only written and not read show as waiting for that', async () => {
    const { config } = await opened('');
    writeFileSync(configFile, 'log_level = "debug"\n');
    const { settings } = await config.view();
    expect(settings.find(({ key }) => key === 'log_level')).toMatchObject({ value: 'info', waiting: { value: 'debug', needs: 'reload' } });
  });

  test('that flags of this start gave wait for nothing, since they are remembered', async () => {
    const { config } = await opened('listen = ["b:1"]', { listen: ['a:1'] });
    await writeRemembered(join(stateDir, 'up.json'), { listen: ['a:1'] });
    const { settings } = await config.view();
    expect(settings.find(({ key }) => key === 'listen')).toMatchObject({ value: ['a:1'], from: 'flag', overruled: [{ from: 'file', value: ['b:1'] }] });
    expect(settings.filter(({ waiting }) => waiting !== undefined)).toEqual([]);
  });

  test.each([['debug', 'error'], ['error', 'debug']] as const)('from level %s to %s: that it was read again is written all the same', async (from, to) => {
    level = from;
    const { config } = await opened(`log_level = "${from}"`);
    writeFileSync(configFile, `log_level = "${to}"`);
    await config.reload();
    expect([said, level]).toEqual([['info the config file was read again: changed log_level'], to]);
  });

  test('read anew for one purpose change nothing else', async () => {
    const { config, changes } = await opened('');
    writeFileSync(configFile, 'roots = ["/src"]\nnotify_all = true');
    await expect(config.read()).resolves.toMatchObject({ roots: ['/src'] });
    expect([config.notifyAll, changes]).toEqual([false, []]);
    writeFileSync(configFile, 'x = 1');
    await expect(config.read()).rejects.toMatchObject({ code: 'invalid' });
  });
});
