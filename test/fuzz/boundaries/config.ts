/** The config file, what variables say, and the flags that were remembered: of a person, or of whoever may write there. */
import { check, checkOne } from '../../../src/app/config-flaws.ts';
import { configOf, settingKeys, settingsSchema } from '../../../src/app/config.ts';
import { parseConfigFile } from '../../../src/app/config-file.ts';
import { settingViews } from '../../../src/app/config-view.ts';
import { resolveSettings, variableOf } from '../../../src/app/settings.ts';
import { TomlPlaces } from '../../../src/app/toml-places.ts';
import { about } from '../../../src/app/config.ts';
import { holds } from '../engine/boundary.ts';
import type { Boundary } from '../engine/boundary.ts';
import { areToldWell, jsonIn, readersOf } from './readers.ts';

const none = { path: '/c.toml', exists: false, settings: {}, places: undefined, flaws: [] } as const;

const readers = readersOf({
  file: (text) => {
    const file = parseConfigFile(text, '/c.toml');
    areToldWell(text, file.flaws);
    const resolved = resolveSettings({ given: {}, env: {}, remembered: {}, file });
    settingViews(resolved);
    if (file.flaws.length > 0) {
      holds(Object.keys(file.settings).length === 0, 'with a flaw there are no settings');
      return false;
    }
    configOf(resolved.settings);
    holds(settingsSchema.safeParse(file.settings).success, 'what was accepted is accepted again');
    return true;
  },
  variable: (text) => {
    const [name = '', ...rest] = text.split('=');
    const key = settingKeys.find((each) => variableOf(each) === name) ?? 'listen';
    const { flaws, settings } = resolveSettings({ given: {}, env: { [variableOf(key) ?? '']: rest.join('=') }, remembered: {}, file: none });
    if (flaws.length > 0) return false;
    configOf(settings);
    return true;
  },
  value: (text) => {
    const value = jsonIn(text.replace(/^[^[{"\d]*/, '') || 'null');
    const key = settingKeys[text.length % settingKeys.length] ?? 'name';
    return !('flaw' in checkOne(key, value)) && check({ [key]: value }, new TomlPlaces('')).flaws.length === 0;
  },
});

const whole = `${settingKeys.map((key) => about[key].example).filter((line) => !line.startsWith('[')).join('\n')}
[projects."~/src/shop"]
harness = "claude"
labels = { team = "a.b", 'x' = """long""" }
env = ["A=b"]
[[odd.tables]]
at = 2026-03-01T14:00:00Z`;

export const config: Boundary = {
  name: 'config',
  what: 'config.toml, settings in variables',
  seeds: () => ({
    ...Object.fromEntries(settingKeys.map((key) => [`a file with ${key}`, readers.input('file', about[key].example)])),
    'a file with all': readers.input('file', whole),
    'a file with all that it may have': readers.input('file', whole.replace(/\n\[\[odd[^]*/, '')),
    ...Object.fromEntries(settingKeys.flatMap((key) => (variableOf(key) === undefined ? [] : [[`the variable of ${key}`, readers.input('variable', `${variableOf(key)}=${key === 'listen' ? '["a:1", "b"]' : key === 'log_files' ? '3' : 'off'}`)]]))),
    'a value': readers.input('value', '["100.64.0.1:7423"]'),
  }),
  words: ['length', 'toString', '{ length = { toString = 0 } }', '[', ']', '[[', ']]', '=', '"""', "'''", '#', '\\u0041', '\\U0010ffff', '0x', 'inf', 'nan', '1_000', '1979-05-27', '{', '}', 'a.b.c', '"__proto__"', '[projects."~/"]', 'projects."/a".labels.', '\r\n', '\ufeff', ' = true\n', '[a.a]\n'.repeat(50), 'a.'.repeat(1500)],
  open: () => ({ run: (input) => readers.run(input) }),
};
