/** Inputs that were worth keeping, above all those that found something: a file each, by boundary, with a name that says what it is. */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createHash } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { join } from 'node:path';
import type { Find } from './engine/trial.ts';

const folder = fileURLToPath(new URL('corpus', import.meta.url));

export function corpusOf(boundary: string): readonly { readonly name: string; readonly input: Uint8Array }[] {
  const here = join(folder, boundary);
  if (!existsSync(here)) return [];
  return readdirSync(here).toSorted().map((name) => ({ name, input: Uint8Array.from(readFileSync(join(here, name))) }));
}

/** @returns the path of the file */
export function keepFind(boundary: string, { kind, what }: Pick<Find, 'what'> & { readonly kind: string }, input: Uint8Array): string {
  const words = what.toLowerCase().replace(/[^a-z]+/g, '-').replace(/^-|-$/g, '').slice(0, 60).replace(/-$/, '');
  const path = join(folder, boundary, `${kind}-${words}-${createHash('sha256').update(input).digest('hex').slice(0, 8)}`);
  mkdirSync(join(folder, boundary), { recursive: true });
  writeFileSync(path, input);
  return path;
}
