/**
 * The file of a captured environment: what systemd takes for `EnvironmentFile=` (systemd.exec(5)) and a POSIX shell for a
 * script, with the same meaning in both. Values are in double quotes, in which both know a backslash before `" \ $` and a
 * backquote, and both keep newlines.
 */

const name = /^[A-Za-z_][A-Za-z0-9_]*$/;

const heading = [
  '# The environment of the node as a service, captured by beckon service install. It may hold secrets: keep its mode 0600.',
  '# Read at each start; the next install takes what its shell has and keeps the rest.',
];

/** Sorted by name, so that the same environment is the same file. Names that no shell could have set are left out. */
export function environmentFile(variables: Readonly<Record<string, string>>): string {
  const lines = Object.entries(variables)
    .filter(([each, value]) => name.test(each) && !value.includes('\0'))
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([each, value]) => `${each}="${value.replaceAll(/["\\$`]/g, '\\$&')}"`);
  return [...heading, ...lines, ''].join('\n');
}

/** What `environmentFile` wrote, also after a person changed values in it. Lines that are of another form are passed over. */
export function parseEnvironmentFile(text: string): Record<string, string> {
  const found = [...text.matchAll(/^([A-Za-z_][A-Za-z0-9_]*)=(?:"((?:[^"\\]|\\[^])*)"|([^"'\s]*))[ \t]*$/gm)];
  return Object.fromEntries(found.map(([, each = '', inQuotes, bare = '']) => [each, inQuotes === undefined ? bare : inQuotes.replaceAll(/\\(["\\$`\n])/g, (_, escaped: string) => (escaped === '\n' ? '' : escaped))]));
}
