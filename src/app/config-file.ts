/** The config file: TOML. What it does not know it refuses, and says where; all that is wrong, not only the first. */
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { parse, TomlError } from 'smol-toml';
import type { ConfigFlaw } from '../domain/config-view.ts';
import { flawWords } from '../domain/config-view.ts';
import { BrokerError } from '../domain/errors.ts';
import { quoted } from '../domain/text.ts';
import { configOf } from './config.ts';
import type { Config, Settings } from './config.ts';
import { check } from './config-flaws.ts';
import { placeAt, TomlPlaces } from './toml-places.ts';

const mostBytes = 1024 * 1024;

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
  const found = await bytesOf(path);
  if (found === undefined) return { path, exists: false, settings: {}, places: undefined, flaws: [] };
  if (typeof found === 'string') return broken(path, { message: found, hint: 'see that it is a file of yours' });
  const text = decoded(found);
  if (typeof text === 'number') return broken(path, { ...placeAt(new TextDecoder().decode(found.subarray(0, text)), text), message: 'not UTF-8', hint: 'save it as UTF-8' });
  return parseConfigFile(text, path);
}

/** @param path for messages */
export function parseConfigFile(text: string, path: string): ConfigFile {
  let table: unknown;
  try {
    table = parse(text);
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    // Its message ends with an extract of the file.
    const [what = 'not understood'] = error.message.replace(/^Invalid TOML document: /, '').split('\n');
    const column = Array.from((text.split(/\r?\n/)[error.line - 1] ?? '').slice(0, error.column - 1)).length + 1;
    return broken(path, { line: error.line, column, message: `not TOML: ${what}`, hint: 'https://toml.io says how it is written' });
  }
  const places = new TomlPlaces(text);
  const { settings, flaws } = check(table, places);
  return { path, exists: true, settings, places, flaws: flaws.map((each) => ({ source: path, ...each })) };
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

function broken(path: string, flaw: Omit<ConfigFlaw, 'source'>): ConfigFile {
  return { path, exists: true, settings: {}, places: undefined, flaws: [{ source: path, ...flaw }] };
}

/** Undefined when there is none, or why it can't be read. */
async function bytesOf(path: string): Promise<Uint8Array | string | undefined> {
  try {
    // No pipe is waited for.
    await using file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const stat = await file.stat();
    if (!stat.isFile()) return `${quoted(path, 200)} is not a file`;
    if (stat.size > mostBytes) return `it has ${stat.size} bytes, more than ${mostBytes}`;
    return await file.readFile();
  } catch (error) {
    if (!(error instanceof Error) || !('code' in error)) throw error;
    return error.code === 'ENOENT' ? undefined : `it can't be read: ${String(error.code)}`;
  }
}

/** The text, or the offset of the first byte that is not UTF-8. */
function decoded(bytes: Uint8Array): string | number {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    let valid = 0;
    for (const sequence of new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes)) {
      const encoded = Buffer.from(sequence);
      if (!encoded.equals(bytes.subarray(valid, valid + encoded.length))) return valid;
      valid += encoded.length;
    }
    return valid;
  }
}
