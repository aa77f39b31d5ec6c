import fc from 'fast-check';
import { parse, stringify } from 'smol-toml';
import { describe, expect, test } from 'vitest';
import { TomlPlaces } from '../../../src/app/toml-places.ts';
import type { Path } from '../../../src/app/toml-places.ts';

/** All that a parser finds in a value, as paths. */
function pathsIn(value: unknown, path: Path = []): Path[] {
  if (typeof value !== 'object' || value === null || value instanceof Date) return [path];
  const inside: [string | number, unknown][] = Array.isArray(value) ? [...(value as unknown[]).entries()] : Object.entries(value);
  return [...(path.length === 0 ? [] : [path]), ...inside.flatMap(([step, each]) => pathsIn(each, [...path, step]))];
}

const at = (text: string, path: Path): string => {
  const [key, value] = [new TomlPlaces(text).keyOf(path), new TomlPlaces(text).valueOf(path)];
  return `${key?.line}:${key?.column} ${value?.line}:${value?.column}`;
};

describe('where a key and its value stand in TOML', () => {
  test.each<[string, string, Path, string]>([
    ['a plain pair', 'a = 1\n  bee  =  "x"\n', ['bee'], '2:3 2:11'],
    ['a comment before it', '# a = 1\na = 2 # a = 3\nb=3', ['b'], '3:1 3:3'],
    ['a dotted key', 'one.two . "three" = true', ['one', 'two', 'three'], '1:11 1:21'],
    ['the table that a dotted key makes', 'one.two = 1', ['one'], '1:1 1:1'],
    ['a table', '\n[ a . "b.c" ]\nd = 1', ['a', 'b.c'], '2:7 2:7'],
    ['a key of a table', '[a]\n[a.b]\nc = 1\n[d]\nc = 2', ['d', 'c'], '5:1 5:5'],
    ['an element of a list over lines', 'a = [\n  "x", # y\n  [1,\n 2],\n  5,\n]', ['a', 1, 1], '4:2 4:2'],
    ['an inline table', 'a = { b = 1, c = { d = [true] } }', ['a', 'c', 'd', 0], '1:25 1:25'],
    ['an array of tables', '[[a]]\nb = 1\n[[a]]\n[a.x]\nb = 2\n', ['a', 1, 'x', 'b'], '5:1 5:5'],
    ['what is behind strings of all kinds', 'a = """\n"b = 1 ""\\""""\nc = \'\'\'\nd = 1\\\'\'\'\'\ne = "]\\"#" # "\nf = \'"\'\ng=1', ['g'], '7:1 7:3'],
    ['what is behind a date with a blank', 'a = 2026-01-01 10:00:00Z\nb = 1', ['b'], '2:1 2:5'],
    ['columns are characters', '"äöü🙂" = "é🙂"', ['äöü🙂'], '1:1 1:10'],
    ['line ends of Windows, and a byte order mark', '\ufeffa = 1\r\nb = [\r\n1]\r\n', ['b', 0], '3:1 3:1'],
    ['escapes in a key', '"a\\u00e9\\x41\\t" = 1', ['aéA\t'], '1:1 1:19'],
    ['as far as the path leads', 'a = { b = 1 }', ['a', 'c', 'd'], '1:1 1:5'],
  ])('%s', (_what, text, path, places) => {
    parse(text);
    expect(at(text, path)).toBe(places);
  });

  test('nothing is at a path of which not even the beginning is there', () => {
    expect([new TomlPlaces('a = 1').keyOf(['b']), new TomlPlaces('').valueOf([])]).toEqual([undefined, undefined]);
  });

  const key = fc.oneof(fc.stringMatching(/^[a-z]{1,3}$/), fc.string({ unit: 'grapheme', minLength: 1, maxLength: 4 }));
  const leaf = fc.oneof(fc.integer(), fc.boolean(), fc.string({ unit: 'grapheme', maxLength: 8 }), fc.constantFrom("'''", '"""', '\\', ']', '}', '#', '=', '\n[x]\n'));
  const { table } = fc.letrec<{ value: unknown; table: object }>((tie) => ({
    value: fc.oneof({ maxDepth: 3 }, leaf, fc.array(tie('value'), { maxLength: 3 }), tie('table')),
    table: fc.dictionary(key, tie('value'), { maxKeys: 4 }),
  }));

  test('whatever a parser finds in a document has a place, and the text there begins it', () => {
    fc.assert(
      fc.property(table, (document) => {
        const text = stringify(document);
        const places = new TomlPlaces(text);
        const lines = text.split('\n').map((line) => Array.from(line));
        for (const path of pathsIn(parse(text))) {
          const place = places.valueOf(path);
          expect(place).toBeDefined();
          const rest = [...(lines[place!.line - 1] ?? []).slice(place!.column - 1)].join('');
          const value = path.reduce<unknown>((found, step) => Reflect.get(found as object, step), parse(text));
          if (typeof value === 'boolean' || typeof value === 'number') expect(rest.startsWith(String(value))).toBe(true);
          if (typeof value === 'string') expect(rest).toMatch(/^["']/);
        }
      }),
      { numRuns: 300 },
    );
  });
});
