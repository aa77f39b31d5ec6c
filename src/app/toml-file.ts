/** A file of TOML that a person wrote: as its parser reads it, with the place of each key, or with what is wrong with it. */
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { parse, TomlError } from 'smol-toml';
import type { ConfigFlaw } from '../domain/config-view.ts';
import { quoted } from '../domain/text.ts';
import { placeAt, TomlPlaces } from './toml-places.ts';

const mostBytes = 1024 * 1024;

type Flaw = Omit<ConfigFlaw, 'source'>;

export type TomlFile = { readonly kind: 'absent' } | { readonly kind: 'broken'; readonly flaw: Flaw } | { readonly kind: 'read'; readonly text: string; readonly table: unknown; readonly places: TomlPlaces };

/** Of an open file, beyond its contents. @returns why it is not to be read; undefined: it may be */
export type Distrust = (stat: { readonly uid: number; readonly mode: number }) => Flaw | undefined;

/** Never rejects: a file that can't be read is a flaw. */
export async function readTomlFile(path: string, distrust: Distrust = () => undefined): Promise<TomlFile> {
  const found = await bytesOf(path, distrust);
  if (found === undefined) return { kind: 'absent' };
  if (!(found instanceof Uint8Array)) return { kind: 'broken', flaw: found };
  const text = decoded(found);
  if (typeof text === 'number') return { kind: 'broken', flaw: { ...placeAt(new TextDecoder().decode(found.subarray(0, text)), text), message: 'not UTF-8', hint: 'save it as UTF-8' } };
  return parseToml(text);
}

export function parseToml(text: string): Exclude<TomlFile, { kind: 'absent' }> {
  try {
    return { kind: 'read', text, table: parse(text), places: new TomlPlaces(text) };
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    // Its message ends with an extract of the file.
    const [what = 'not understood'] = error.message.replace(/^Invalid TOML document: /, '').split('\n');
    const column = Array.from((text.split(/\r?\n/)[error.line - 1] ?? '').slice(0, error.column - 1)).length + 1;
    return { kind: 'broken', flaw: { line: error.line, column, message: `not TOML: ${what}`, hint: 'https://toml.io says how it is written' } };
  }
}

/** Undefined when there is none, or why it can't be read. */
async function bytesOf(path: string, distrust: Distrust): Promise<Uint8Array | Flaw | undefined> {
  const unreadable = (message: string): Flaw => ({ message, hint: 'see that it is a file of yours' });
  try {
    // No pipe is waited for.
    await using file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const stat = await file.stat();
    if (!stat.isFile()) return unreadable(`${quoted(path, 200)} is not a file`);
    if (stat.size > mostBytes) return unreadable(`it has ${stat.size} bytes, more than ${mostBytes}`);
    return distrust(stat) ?? await file.readFile();
  } catch (error) {
    if (!(error instanceof Error) || !('code' in error)) throw error;
    return error.code === 'ENOENT' ? undefined : unreadable(`it can’t be read: ${String(error.code)}`);
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
