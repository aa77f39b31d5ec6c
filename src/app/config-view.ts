/** What is set, as `beckon config show` tells it: in a running node, and for the next start of one. */
import type { ConfigView, SettingValue, SettingView } from '../domain/config-view.ts';
import { about, settingKeys } from './config.ts';
import type { SettingKey } from './config.ts';
import { throwFirst } from './config-file.ts';
import type { ConfigFile } from './config-file.ts';
import { readOwnConfigFile } from './own-config-file.ts';
import type { Paths } from './paths.ts';
import { readRemembered, rememberedPath } from './remembered.ts';
import type { UpFlags } from './remembered.ts';
import { defaultOf, flagsOf, resolveSettings } from './settings.ts';
import type { Environment, Resolved } from './settings.ts';

/** What may hold a secret has its name and not its value. */
const secret = '[redacted]';

/** @param next as a restart would find it; undefined: nothing runs, or it can't be understood */
export function settingViews(now: Resolved, next?: Resolved): readonly SettingView[] {
  return settingKeys.map((key) => {
    const [first = defaultOf(key), ...overruled] = now.said[key];
    const view = { key, ...shown(key, first), overruled: overruled.map((each) => shown(key, each)) };
    const later = next?.said[key][0] ?? defaultOf(key);
    // A flag of this start is remembered: that is no change.
    if (next === undefined || JSON.stringify(later.value) === JSON.stringify(first.value)) return view;
    return { ...view, waiting: { ...shown(key, later), needs: about[key].isLive ? 'reload' : 'restart' } };
  });
}

/** As the next `beckon up` with this environment would find it. @throws BrokerError `invalid` when remembered flags can't be understood */
export async function configHere(here: Here): Promise<ConfigView> {
  const { file, resolved } = await resolveHere(here);
  return { path: file.path, exists: file.exists, settings: settingViews(resolved), flaws: resolved.flaws };
}

/** What that `up` would work with. @throws BrokerError `invalid`, naming what is wrong */
export async function flagsHere(here: Here): Promise<UpFlags> {
  const { resolved } = await resolveHere(here);
  throwFirst(resolved.flaws);
  return flagsOf(resolved.settings);
}

interface Here {
  readonly paths: Paths;
  readonly env: Environment;
}

async function resolveHere({ paths, env }: Here): Promise<{ readonly file: ConfigFile; readonly resolved: Resolved }> {
  const file = await readOwnConfigFile(paths.configFile);
  return { file, resolved: resolveSettings({ given: {}, env, remembered: await readRemembered(rememberedPath(paths.stateDir)), file }) };
}

function shown(key: SettingKey, { value, ...rest }: SettingValue): SettingValue {
  return { ...rest, value: withoutSecrets(key, value) };
}

/** Arguments of programs may hold keys of services; values of `env` are secrets by their nature. */
function withoutSecrets(key: SettingKey, value: unknown): unknown {
  if (key === 'notify') return argvOf(value);
  if (key !== 'projects' || !isTable(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([directory, words]) => {
      if (!isTable(words)) return [directory, words];
      const { env, command } = words;
      return [directory, { ...words, ...(env === undefined ? {} : { env: envOf(env) }), ...(command === undefined ? {} : { command: argvOf(command) }) }];
    }),
  );
}

function argvOf(value: unknown): unknown {
  return Array.isArray(value) ? value.map((each: unknown, index) => (index === 0 ? each : secret)) : value;
}

function envOf(value: unknown): unknown {
  return Array.isArray(value) ? value.map((each) => String(each).replace(/=.*$/s, `=${secret}`)) : value;
}

function isTable(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
