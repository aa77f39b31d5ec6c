/** The config file: TOML, validated once at the start. What it does not know it refuses, and says where. */
import { readFile } from 'node:fs/promises';
import { parse, TomlError } from 'smol-toml';
import { z } from 'zod';
import { parseDuration } from '../domain/duration.ts';
import { BrokerError, toBrokerError } from '../domain/errors.ts';
import { quoted } from '../domain/text.ts';
import type { ProjectOverride } from '../domain/project.ts';
import { issueWords, projectFields, workspaceField } from '../discovery/manifest.ts';

const place = z.string().regex(/^(~$|~\/|\/)/, 'is no absolute path, and does not begin with ~/');

const override = z.strictObject({ ignore: z.boolean().optional(), ...projectFields, default_workspace: workspaceField });

const schema = z.strictObject({
  /** Told when a flight waits or has finished: a program and its arguments. */
  notify: z.array(z.string().refine((each) => !each.includes('\0'), 'has a NUL byte')).min(1, 'names no program').optional(),
  /** For every flight of this node, not only those with --notify. */
  notify_all: z.boolean().optional(),
  /** How long what an agent asks waits for an answer, unless the agent says otherwise. */
  request_timeout: z.string().transform(durationMs).optional(),
  /** Where projects are looked for. */
  roots: z.array(place).max(100, 'has more than 100 entries').optional(),
  /** What the person of this machine says of a project, by its directory. */
  projects: z.record(place, override).optional(),
});

const examples = { notify: 'notify = ["notify-send", "Beckon"]', notify_all: 'notify_all = true', request_timeout: 'request_timeout = "30m"', roots: 'roots = ["~/src", "/srv/work"]', projects: '[projects."~/src/shop"] and below it harness = "claude"' } as const;

function durationMs(text: string, context: z.RefinementCtx): number {
  try {
    return parseDuration(text);
  } catch (error) {
    context.addIssue(toBrokerError(error).message);
    return z.NEVER;
  }
}

export interface Config {
  readonly notify?: readonly string[];
  readonly notifyAll: boolean;
  readonly requestMs?: number;
  /** As written, `~` and all. */
  readonly roots?: readonly string[];
  readonly projects?: Readonly<Record<string, ProjectOverride>>;
}

/** A file that is not there is an empty one. @throws BrokerError `invalid`, naming file, line and what is wrong */
export async function readConfig(path: string): Promise<Config> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return { notifyAll: false };
    throw new BrokerError('invalid', `the config file ${path} can't be read`, { hint: 'see that it is a file of yours', cause: error });
  }
  return parseConfig(text, path);
}

/** @param path for messages */
export function parseConfig(text: string, path: string): Config {
  const read = schema.safeParse(tableIn(text, path));
  if (read.success) {
    const { notify_all: notifyAll = false, request_timeout: requestMs, projects, ...rest } = read.data;
    return { notifyAll, ...present({ ...rest, requestMs, projects: projects === undefined ? undefined : overridesOf(projects) }) };
  }
  const [issue] = read.error.issues;
  const [key = '', ...inside] = (issue?.path ?? []).map(String);
  const unknown = issue?.code === 'unrecognized_keys' ? issue.keys[0] : undefined;
  if (key === 'projects') throw flaw(path, lineIn(text, inside[0] ?? '', unknown ?? inside[1]), issueWords(read.error, Object.keys(override.shape)), `for example: ${examples.projects}`);
  if (unknown !== undefined) throw flaw(path, lineOf(text, unknown), `unknown key ${quoted(unknown)}`, `known are: ${Object.keys(schema.shape).join(', ')}`);
  throw flaw(path, lineOf(text, key), `${key}${key === 'roots' && inside[0] !== undefined ? `[${inside[0]}]` : ''}: ${issue?.message ?? 'not understood'}`, `for example: ${examples[key as keyof typeof examples] ?? examples.notify}`);
}

function overridesOf(projects: Readonly<Record<string, z.infer<typeof override>>>): Readonly<Record<string, ProjectOverride>> {
  return Object.fromEntries(Object.entries(projects).map(([directory, { default_workspace: defaultWorkspace, ...rest }]) => [directory, present({ ...rest, defaultWorkspace })]));
}

/** Absent is absent. */
function present<Fields extends object>(fields: Fields): { [Key in keyof Fields]?: Exclude<Fields[Key], undefined> } {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as { [Key in keyof Fields]?: Exclude<Fields[Key], undefined> };
}

function tableIn(text: string, path: string): unknown {
  try {
    return parse(text);
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    // Its message ends with an extract of the file.
    const [what = 'not understood'] = error.message.replace(/^Invalid TOML document: /, '').split('\n');
    throw flaw(path, error.line, `not TOML: ${what}`, 'https://toml.io says how it is written');
  }
}

/** Where the key stands, as far as text alone can tell. */
function lineOf(text: string, key: string): number | undefined {
  const name = key.replaceAll(/[^\w-]/g, '.');
  const at = text.split('\n').findIndex((line) => new RegExp(`^\\s*\\[*\\s*["']?${name}["']?\\s*[=.\\]]`).test(line));
  return at < 0 ? undefined : at + 1;
}

/** Of a key in the table of that project, or of the table. */
function lineIn(text: string, project: string, key: string | undefined): number | undefined {
  const lines = text.split('\n');
  const header = lines.findIndex((line) => line.includes(project) && /^\s*(\[|projects\b)/.test(line));
  if (header < 0) return lineOf(text, 'projects');
  const within = key === undefined ? undefined : lineOf(lines.slice(header + 1).join('\n'), key);
  return header + 1 + (within ?? 0);
}

function flaw(path: string, line: number | undefined, what: string, hint: string): BrokerError {
  return new BrokerError('invalid', `${path}${line === undefined ? '' : `:${line}`}: ${what}`, { hint });
}
