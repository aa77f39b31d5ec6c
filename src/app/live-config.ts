/** The settings of a node that runs: read once at its start, and again when it is told to; a part of them changes then. */
import { flawWords } from '../domain/config-view.ts';
import type { ConfigView } from '../domain/config-view.ts';
import { logLevels } from '../domain/log-fields.ts';
import type { Log } from '../domain/ports.ts';
import type { Wishes } from '../domain/wishes.ts';
import { about, configOf, defaults, settingKeys } from './config.ts';
import type { Config, SettingKey } from './config.ts';
import { throwFirst } from './config-file.ts';
import { settingViews } from './config-view.ts';
import { readOwnConfigFile } from './own-config-file.ts';
import type { Paths } from './paths.ts';
import { readRemembered, rememberedPath } from './remembered.ts';
import type { UpFlags } from './remembered.ts';
import { flagsOf, resolveSettings } from './settings.ts';
import type { Environment, Resolved } from './settings.ts';

export interface LiveConfigParts {
  readonly paths: Pick<Paths, 'configFile' | 'stateDir'>;
  readonly env: Environment;
  readonly given: UpFlags;
  readonly remembered: UpFlags;
  readonly log: Log;
}

export class LiveConfig implements Wishes {
  readonly #parts: LiveConfigParts;
  readonly #listeners = new Set<(changed: ReadonlySet<SettingKey>) => void>();
  #resolved: Resolved;
  #config: Config;
  #reading: Promise<void> = Promise.resolve();

  private constructor(parts: LiveConfigParts, resolved: Resolved) {
    this.#parts = parts;
    this.#resolved = resolved;
    this.#config = configOf(resolved.settings);
  }

  /** @throws BrokerError `invalid`: what is wrong first, with its place or its variable */
  static async open(parts: LiveConfigParts): Promise<LiveConfig> {
    const { paths, env, given, remembered } = parts;
    const resolved = resolveSettings({ given, env, remembered, file: await readOwnConfigFile(paths.configFile) });
    throwFirst(resolved.flaws);
    return new LiveConfig(parts, resolved);
  }

  /** What is in force. */
  get now(): Config {
    return this.#config;
  }

  get notifyAll(): boolean {
    return this.#config.notifyAll;
  }

  get requestMs(): number | undefined {
    return this.#config.requestMs;
  }

  get heldLimit(): number | undefined {
    return this.#config.heldLimit;
  }

  /** What `up` works with: flags, whoever gave them. */
  get flags(): UpFlags {
    return flagsOf(this.#resolved.settings);
  }

  /** Told after each reading that changed something. */
  onChange(listener: (changed: ReadonlySet<SettingKey>) => void): void {
    this.#listeners.add(listener);
  }

  /** As the file says now, for what is looked up each time; nothing else changes by it. @throws BrokerError `invalid` */
  async read(): Promise<Config> {
    const { settings, flaws } = await this.#readFile();
    throwFirst(flaws);
    return configOf(settings);
  }

  /** Reads the file again. One that is wrong changes nothing, and is said in the log, as is what waits for a restart. Never rejects. */
  reload(): Promise<void> {
    this.#reading = this.#reading.then(() => this.#reload());
    return this.#reading;
  }

  /** @throws BrokerError `invalid` when remembered flags can't be understood */
  async view(): Promise<ConfigView> {
    const { paths, env } = this.#parts;
    const file = await readOwnConfigFile(paths.configFile);
    const next = resolveSettings({ given: {}, env, remembered: await readRemembered(rememberedPath(paths.stateDir)), file });
    const settings = settingViews(this.#resolved, next.flaws.length === 0 ? next : undefined);
    return { path: file.path, exists: file.exists, settings, flaws: next.flaws };
  }

  async #readFile(): Promise<Resolved> {
    const { paths, env, given, remembered } = this.#parts;
    return resolveSettings({ given, env, remembered, file: await readOwnConfigFile(paths.configFile) });
  }

  async #reload(): Promise<void> {
    const { paths, log } = this.#parts;
    const read = await this.#readFile();
    const [flaw] = read.flaws;
    if (flaw !== undefined) return log.error({ file: paths.configFile, count: read.flaws.length }, `the config file is not taken, and nothing is changed: ${flawWords(flaw)}`);
    const before = this.#resolved;
    const differing = settingKeys.filter((key) => JSON.stringify(read.settings[key]) !== JSON.stringify(before.settings[key]));
    const changed = differing.filter((key) => about[key].isLive);
    const waiting = differing.filter((key) => !about[key].isLive);
    const stays = <Of extends object>(from: Of, to: Of): Of => ({ ...to, ...Object.fromEntries(waiting.map((key) => [key, Reflect.get(from, key) as unknown])) });
    this.#resolved = { settings: stays(before.settings, read.settings), said: stays(before.said, read.said), flaws: [] };
    this.#config = configOf(this.#resolved.settings);
    const apply = (): void => {
      for (const listener of this.#listeners) if (changed.length > 0) listener(new Set(changed));
    };
    const say = (): void => log.info({ file: paths.configFile, settings: changed }, `the config file was read again: ${changed.length === 0 ? 'nothing changes' : `changed ${changed.join(', ')}`}`);
    // At whichever of two levels of the log more is written.
    const isLouder = logLevels.indexOf(this.#config.logLevel) < logLevels.indexOf(before.settings.log_level ?? defaults.log_level);
    for (const step of isLouder ? [apply, say] : [say, apply]) step();
    if (waiting.length > 0) log.warn({ file: paths.configFile, settings: waiting }, `what the config file says now waits for a restart: ${waiting.join(', ')}`);
  }
}
