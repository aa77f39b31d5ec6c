/** What a schema has against a document of TOML, in words for the person who wrote it, each with its place. */
import type { z } from 'zod';
import type { ConfigFlaw } from '../domain/config-view.ts';
import { nearestNames } from '../domain/nearest.ts';
import { quoted } from '../domain/text.ts';
import type { Path, Place, TomlPlaces } from './toml-places.ts';

type Flaw = Omit<ConfigFlaw, 'source'>;

/** What the schema's author says of it. */
export interface AboutSchema {
  /** Keys that the table at that path may have. */
  readonly knownAt: (path: Path) => readonly string[];
  /** What to do about a value that is wrong there. */
  readonly hintAt: (path: Path) => string;
}

/** Of what a schema can't read at all: see `readBy`. */
export const notReadable = 'a table with a key called length stands in place of a list or a text';

/** Named at most: a file of another kind may have a flaw in each of very many lines, and a running node looks at it too. */
const mostFlaws = 100;

/** In the order of their places. */
export function flawsOfIssues(all: readonly z.core.$ZodIssue[], table: unknown, places: TomlPlaces, about: AboutSchema): readonly Flaw[] {
  const issues = all.flatMap((issue): z.core.$ZodIssue[] => (issue.code === 'unrecognized_keys' ? issue.keys.map((key) => ({ ...issue, keys: [key] })) : [issue]));
  const flaws = issues.slice(0, mostFlaws).flatMap((issue) => flawsOf(issue, table, places, about)).toSorted(byPlace);
  const left = issues.length - mostFlaws;
  return left <= 0 ? flaws : [...flaws, { message: `there are ${left} more`, hint: 'mend these first; is it the right file?' }];
}

/** Without its place. */
export function wordsOfIssue(issue: z.core.$ZodIssue, table: unknown): string {
  // A key that is wrong has its reason inside.
  if (issue.code === 'invalid_key') return issue.issues[0]?.message ?? issue.message;
  if (issue.code === 'unrecognized_keys') return `unknown key ${quoted(issue.keys[0] ?? '')}`;
  if (issue.code === 'invalid_type') return `must be ${kinds[issue.expected] ?? issue.expected}, and is ${kindOf(valueAt(table, pathOf(issue)))}`;
  if (issue.code === 'invalid_value') return `must be one of ${issue.values.map(String).join(', ')}`;
  return issue.message;
}

/** `projects."~/src".env[2]: `. */
export function wordsOfPath(path: Path): string {
  const words = path.map((step, index) => (typeof step === 'number' ? `[${step}]` : `${index === 0 ? '' : '.'}${/^[\w./-]{1,64}$/.test(step) ? step : quoted(step)}`)).join('');
  return words === '' ? '' : `${words}: `;
}

export function pathOf({ path }: z.core.$ZodIssue): Path {
  return path.map((step) => (typeof step === 'symbol' ? String(step) : step));
}

function flawsOf(issue: z.core.$ZodIssue, table: unknown, places: TomlPlaces, { knownAt, hintAt }: AboutSchema): Flaw[] {
  const path = pathOf(issue);
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({ ...places.keyOf([...path, key]), message: `${wordsOfPath(path)}unknown key ${quoted(key)}`, hint: nearHint(key, knownAt(path)) }));
  }
  const place: Place | undefined = issue.code === 'invalid_key' ? places.keyOf(path) : places.valueOf(path);
  return [{ ...place, message: `${wordsOfPath(path)}${wordsOfIssue(issue, table)}`, hint: hintAt(path) }];
}

function nearHint(key: string, known: readonly string[]): string {
  const [nearest] = nearestNames(key, known, 1);
  return `${nearest === undefined ? '' : `did you mean ${nearest}? `}known are: ${known.join(', ')}`;
}

const kinds: Readonly<Record<string, string>> = { string: 'a text', boolean: 'true or false', number: 'a number', int: 'a whole number', array: 'a list', object: 'a table', record: 'a table' };

function valueAt(table: unknown, path: Path): unknown {
  return path.reduce<unknown>((value, step) => (typeof value === 'object' && value !== null ? (Reflect.get(value, step) as unknown) : undefined), table);
}

function kindOf(value: unknown): string {
  if (value === undefined || value === null) return 'missing';
  if (typeof value === 'string') return 'a text';
  if (typeof value === 'boolean') return String(value);
  if (typeof value === 'number' || typeof value === 'bigint') return 'a number';
  if (Array.isArray(value)) return 'a list';
  return value instanceof Date ? 'a date or time' : 'a table';
}

function byPlace(a: Partial<Place>, b: Partial<Place>): number {
  return (a.line ?? 0) - (b.line ?? 0) || (a.column ?? 0) - (b.column ?? 0);
}
