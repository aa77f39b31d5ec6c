/** What is wrong with settings, in words for the person who wrote them, each with its place. */
import type { z } from 'zod';
import type { ConfigFlaw } from '../domain/config-view.ts';
import { nearestNames } from '../domain/nearest.ts';
import { readBy } from '../domain/read-by.ts';
import { quoted } from '../domain/text.ts';
import { about, projectOverride, settingKeys, settingsSchema } from './config.ts';
import type { SettingKey, Settings } from './config.ts';
import type { Path, Place, TomlPlaces } from './toml-places.ts';

export interface Checked {
  /** Empty when there are flaws. */
  readonly settings: Settings;
  readonly flaws: readonly Omit<ConfigFlaw, 'source'>[];
}

/** Named at most: a file of another kind may have a flaw in each of very many lines, and a running node looks at it too. */
const mostFlaws = 100;

/** @param table as the file's parser made it */
export function check(table: unknown, places: TomlPlaces): Checked {
  const read = readBy(settingsSchema, table);
  if (read === undefined) return { settings: {}, flaws: [{ message: notReadable, hint: 'is it the right file?' }] };
  if (read.success) return { settings: read.data, flaws: [] };
  const issues = read.error.issues.flatMap((issue): z.core.$ZodIssue[] => (issue.code === 'unrecognized_keys' ? issue.keys.map((key) => ({ ...issue, keys: [key] })) : [issue]));
  const flaws = issues.slice(0, mostFlaws).flatMap((issue) => flawsOf(issue, table, places)).toSorted(byPlace);
  const left = issues.length - mostFlaws;
  return { settings: {}, flaws: left <= 0 ? flaws : [...flaws, { message: `there are ${left} more`, hint: 'mend these first; is it the right file?' }] };
}

const notReadable = 'a table called length stands in place of a list or a text';

/** One setting that came as a text of its own. */
export function checkOne(key: SettingKey, value: unknown): { readonly value: unknown } | { readonly flaw: Pick<ConfigFlaw, 'message'> } {
  const read = readBy(settingsSchema, { [key]: value });
  if (read === undefined) return { flaw: { message: notReadable } };
  if (read.success) return { value: read.data[key] };
  const [issue] = read.error.issues;
  return { flaw: { message: issue === undefined ? 'not understood' : wordsOf(issue, { [key]: value }) } };
}

function flawsOf(issue: z.core.$ZodIssue, table: unknown, places: TomlPlaces): Omit<ConfigFlaw, 'source'>[] {
  const path = pathOf(issue);
  if (issue.code === 'unrecognized_keys') {
    const known = path[0] === 'projects' ? Object.keys(projectOverride.shape) : settingKeys;
    return issue.keys.map((key) => ({ ...places.keyOf([...path, key]), message: `${named(path)}unknown key ${quoted(key)}`, hint: nearHint(key, known) }));
  }
  const place: Place | undefined = issue.code === 'invalid_key' ? places.keyOf(path) : places.valueOf(path);
  return [{ ...place, message: `${named(path)}${wordsOf(issue, table)}`, hint: hintOf(String(path[0] ?? '')) }];
}

function pathOf({ path }: z.core.$ZodIssue): Path {
  return path.map((step) => (typeof step === 'symbol' ? String(step) : step));
}

/** `projects."~/src".env[2]: `. */
function named(path: Path): string {
  const words = path.map((step, index) => (typeof step === 'number' ? `[${step}]` : `${index === 0 ? '' : '.'}${/^[\w./-]{1,64}$/.test(step) ? step : quoted(step)}`)).join('');
  return words === '' ? '' : `${words}: `;
}

function nearHint(key: string, known: readonly string[]): string {
  const [nearest] = nearestNames(key, known, 1);
  return `${nearest === undefined ? '' : `did you mean ${nearest}? `}known are: ${known.join(', ')}`;
}

function hintOf(key: string): string {
  return `for example: ${about[key as SettingKey]?.example ?? about.notify.example}`;
}

const kinds: Readonly<Record<string, string>> = { string: 'a text', boolean: 'true or false', number: 'a number', int: 'a whole number', array: 'a list', object: 'a table', record: 'a table' };

function wordsOf(issue: z.core.$ZodIssue, table: unknown): string {
  // A key that is wrong has its reason inside.
  if (issue.code === 'invalid_key') return issue.issues[0]?.message ?? issue.message;
  if (issue.code === 'invalid_type') return `must be ${kinds[issue.expected] ?? issue.expected}, and is ${kindOf(valueAt(table, pathOf(issue)))}`;
  if (issue.code === 'invalid_value') return `must be one of ${issue.values.map(String).join(', ')}`;
  return issue.message;
}

function valueAt(table: unknown, path: Path): unknown {
  return path.reduce<unknown>((value, step) => (typeof value === 'object' && value !== null ? (Reflect.get(value, step) as unknown) : undefined), table);
}

function kindOf(value: unknown): string {
  if (typeof value === 'string') return 'a text';
  if (typeof value === 'boolean') return String(value);
  if (typeof value === 'number' || typeof value === 'bigint') return 'a number';
  if (Array.isArray(value)) return 'a list';
  return value instanceof Date ? 'a date or time' : 'a table';
}

function byPlace(a: Partial<Place>, b: Partial<Place>): number {
  return (a.line ?? 0) - (b.line ?? 0) || (a.column ?? 0) - (b.column ?? 0);
}
