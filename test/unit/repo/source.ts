import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join, posix } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('../../..', import.meta.url)).replace(/\/$/, '');

/** Paths, relative to the root, of all files that are or could be committed. */
export function paths(): string[] {
  const listed = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], { cwd: root });
  return listed.toString('utf8').split('\0').filter((path) => path !== '' && existsSync(join(root, path)));
}

export const text = (path: string): string => readFileSync(join(root, path), 'utf8');

const tokens =
  /(?<string>'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|`(?:\\[^]|[^`\\])*`)|(?<comment>\/\/[^\n]*|\/\*[^]*?\*\/)/g;

/** Source text with comments blanked out and the insides of strings kept or blanked; lines stay where they were. */
export function code(source: string, strings: 'keep' | 'blank'): string {
  return source.replace(tokens, (match: string, string: string | undefined) =>
    string !== undefined && strings === 'keep' ? match : match.replace(/[^\n]/g, ' '),
  );
}

export interface Import {
  /** As written. */
  specifier: string;
  /** The path from the root when it is relative. */
  path: string | undefined;
  typeOnly: boolean;
}

/** What a file imports or re-exports, statically or by `import()`. */
export function imports(path: string): Import[] {
  const source = code(text(path), 'keep');
  const found = [
    ...source.matchAll(/\b(?:import|export)\b(?<type>\s+type\b)?[^'"`;=()]*?\bfrom\s*(?<quote>['"])(?<from>[^'"]+)['"]/g),
    // Not the word in a text.
    ...source.matchAll(/(?<!['"`])\bimport\s*\(?\s*(?<quote>['"`])(?<from>[^'"`]+)['"`]/g),
  ];
  return found.map(({ groups }) => {
    const specifier = groups?.['from'] ?? '';
    const relative = specifier.startsWith('.');
    return {
      specifier,
      path: relative ? posix.join(posix.dirname(path), specifier) : undefined,
      typeOnly: groups?.['type'] !== undefined,
    };
  });
}
