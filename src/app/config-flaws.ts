/** What is wrong with settings, in words for the person who wrote them, each with its place. */
import type { ConfigFlaw } from '../domain/config-view.ts';
import { readBy } from '../domain/read-by.ts';
import { about, projectOverride, settingKeys, settingsSchema } from './config.ts';
import type { SettingKey, Settings } from './config.ts';
import { flawsOfIssues, notReadable, wordsOfIssue } from './toml-flaws.ts';
import type { TomlPlaces } from './toml-places.ts';

export interface Checked {
  /** Empty when there are flaws. */
  readonly settings: Settings;
  readonly flaws: readonly Omit<ConfigFlaw, 'source'>[];
}

/** @param table as the file's parser made it */
export function check(table: unknown, places: TomlPlaces): Checked {
  const read = readBy(settingsSchema, table);
  if (read === undefined) return { settings: {}, flaws: [{ message: notReadable, hint: 'is it the right file?' }] };
  if (read.success) return { settings: read.data, flaws: [] };
  const flaws = flawsOfIssues(read.error.issues, table, places, {
    knownAt: ([first]) => (first === 'projects' ? Object.keys(projectOverride.shape) : settingKeys),
    hintAt: ([first]) => `for example: ${about[String(first ?? '') as SettingKey]?.example ?? about.notify.example}`,
  });
  return { settings: {}, flaws };
}

/** One setting that came as a text of its own. */
export function checkOne(key: SettingKey, value: unknown): { readonly value: unknown } | { readonly flaw: Pick<ConfigFlaw, 'message'> } {
  const read = readBy(settingsSchema, { [key]: value });
  if (read === undefined) return { flaw: { message: notReadable } };
  if (read.success) return { value: read.data[key] };
  const [issue] = read.error.issues;
  return { flaw: { message: issue === undefined ? 'not understood' : wordsOfIssue(issue, { [key]: value }) } };
}
