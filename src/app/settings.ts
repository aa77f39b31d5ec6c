/** The settings of a node from all who may give them. Flags go before variables, those before what an earlier `up` was given, that before the file. */
import { parse, TomlError } from 'smol-toml';
import type { ConfigFlaw, SettingSource, SettingValue } from '../domain/config-view.ts';
import { about, defaults, settingKeys } from './config.ts';
import type { SettingKey, Settings } from './config.ts';
import { checkOne } from './config-flaws.ts';
import type { ConfigFile } from './config-file.ts';
import type { UpFlags } from './remembered.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

export interface Givers {
  readonly given: UpFlags;
  readonly env: Environment;
  readonly remembered: UpFlags;
  readonly file: ConfigFile;
}

/** Who says what of one setting, the one that counts first; a default is not among them. */
export type Said = readonly SettingValue[];

export interface Resolved {
  readonly settings: Settings;
  readonly said: Readonly<Record<SettingKey, Said>>;
  /** Of variables and of the file. With one flaw nothing is to be used. */
  readonly flaws: readonly ConfigFlaw[];
}

/** `BECKON_LOG_LEVEL` for `log_level`; undefined for what no variable can hold. */
export function variableOf(key: SettingKey): string | undefined {
  return about[key].kind === 'table' ? undefined : `BECKON_${key.toUpperCase()}`;
}

export function resolveSettings({ given, env, remembered, file }: Givers): Resolved {
  const flaws: ConfigFlaw[] = [...file.flaws];
  const [byFlag, byMemory] = [flagSettings(given), flagSettings(remembered)];
  const settings: Record<string, unknown> = {};
  const said = Object.fromEntries(
    settingKeys.map((key) => {
      const variable = readVariable(key, env);
      if (variable !== undefined && 'flaw' in variable) flaws.push(variable.flaw);
      const place = file.places?.valueOf([key]);
      const all = [
        one('flag', about[key].flag ?? '', byFlag[key]),
        one('environment', variableOf(key) ?? '', variable !== undefined && 'value' in variable ? variable.value : undefined),
        one('remembered', about[key].flag ?? '', byMemory[key]),
        one('file', `${file.path}${place === undefined ? '' : `:${place.line}:${place.column}`}`, file.settings[key]),
      ].filter((each) => each !== undefined);
      if (all[0] !== undefined) settings[key] = all[0].value;
      return [key, all] as const;
    }),
  ) as unknown as Record<SettingKey, Said>;
  return { settings: settings as Settings, said, flaws };
}

function one(from: SettingSource, where: string, value: unknown): SettingValue | undefined {
  return value === undefined ? undefined : { from, where, value };
}

function flagSettings({ name, listen, gossipListen, seeds, tailscale, metrics }: UpFlags): Partial<Record<SettingKey, unknown>> {
  return { name, listen, gossip_listen: gossipListen, seeds, tailscale, metrics_listen: metrics };
}

/** As `up` is given it. */
export function flagsOf({ name, listen, seeds, tailscale, gossip_listen: gossipListen, metrics_listen: metrics }: Settings): UpFlags {
  return Object.fromEntries(Object.entries({ name, listen, gossipListen, seeds, tailscale, metrics }).filter(([, value]) => value !== undefined));
}

export function defaultOf(key: SettingKey): SettingValue {
  return { from: 'default', where: '', value: (defaults as Settings)[key] ?? null };
}

/** An empty variable is not set. */
function readVariable(key: SettingKey, env: Environment): { readonly value: unknown } | { readonly flaw: ConfigFlaw } | undefined {
  const name = variableOf(key);
  const text = name === undefined ? '' : (env[name] ?? '');
  if (name === undefined || text === '') return undefined;
  const flaw = (message: string, hint: string): { readonly flaw: ConfigFlaw } => ({ flaw: { source: name, message, hint } });
  const { kind } = about[key];
  const example = `for example: ${name}=${exampleOf(key)}`;
  if (kind === 'truth' && text !== 'true' && text !== 'false') return flaw('must be true or false', example);
  if (kind === 'fraction' && !/^\d(\.\d{1,15})?$/.test(text)) return flaw('must be a number such as 0.1', example);
  if (kind === 'number' && !/^\d{1,15}$/.test(text)) return flaw('must be a whole number', example);
  const value = kind === 'list' ? listIn(text) : kind === 'truth' ? text === 'true' : kind === 'number' || kind === 'fraction' ? Number(text) : text;
  if (value === undefined) return flaw('begins with [ and is no list', `${example}, or as the file has it: ${about[key].example}`);
  const checked = checkOne(key, value);
  return 'flaw' in checked ? flaw(checked.flaw.message, example) : checked;
}

function exampleOf(key: SettingKey): string {
  const value: unknown = parse(about[key].example)[key];
  return Array.isArray(value) ? value.join(',') : String(value);
}

/** `a,b`, or a list as the file has it, for what has commas of its own. */
function listIn(text: string): unknown {
  if (!text.trimStart().startsWith('[')) return text.split(',').map((each) => each.trim()).filter((each) => each !== '');
  try {
    return parse(`list = ${text}`)['list'];
  } catch (error) {
    if (error instanceof TomlError) return undefined;
    throw error;
  }
}
