/** The config file: TOML. What it does not know it refuses, and says where; all that is wrong, not only the first. */
import type { ConfigFlaw } from '../domain/config-view.ts';
import { flawWords } from '../domain/config-view.ts';
import { BrokerError } from '../domain/errors.ts';
import { configOf } from './config.ts';
import type { Config, Settings } from './config.ts';
import { check } from './config-flaws.ts';
import { parseToml, readTomlFile } from './toml-file.ts';
import type { TomlFile } from './toml-file.ts';
import type { TomlPlaces } from './toml-places.ts';

export interface ConfigFile {
  /** For messages. */
  readonly path: string;
  readonly exists: boolean;
  readonly settings: Settings;
  /** Undefined when it does not exist. */
  readonly places: TomlPlaces | undefined;
  /** With one flaw there are no settings. */
  readonly flaws: readonly ConfigFlaw[];
}

/** Never rejects: a file that is not there is an empty one, one that can't be read is a flaw. */
export async function readConfigFile(path: string): Promise<ConfigFile> {
  return configFile(path, await readTomlFile(path));
}

/** @param path for messages */
export function parseConfigFile(text: string, path: string): ConfigFile {
  return configFile(path, parseToml(text));
}

function configFile(path: string, file: TomlFile): ConfigFile {
  if (file.kind === 'absent') return { path, exists: false, settings: {}, places: undefined, flaws: [] };
  if (file.kind === 'broken') return { path, exists: true, settings: {}, places: undefined, flaws: [{ source: path, ...file.flaw }] };
  const { settings, flaws } = check(file.table, file.places);
  return { path, exists: true, settings, places: file.places, flaws: flaws.map((each) => ({ source: path, ...each })) };
}

/** @throws BrokerError `invalid`, naming file, line, column and what is wrong first */
export async function readConfig(path: string): Promise<Config> {
  const { settings, flaws } = await readConfigFile(path);
  throwFirst(flaws);
  return configOf(settings);
}

/** @throws BrokerError `invalid`, when there is one */
export function throwFirst(flaws: readonly ConfigFlaw[]): void {
  const [first, ...others] = flaws;
  if (first === undefined) return;
  const more = others.length === 0 ? '' : ` (and ${others.length} more: beckon config check)`;
  throw new BrokerError('invalid', `${flawWords(first)}${more}`, { hint: first.hint });
}
