/** The config file: TOML, validated once at the start. What it does not know it refuses, and says where. */
import { readFile } from 'node:fs/promises';
import { parse, TomlError } from 'smol-toml';
import { z } from 'zod';
import { parseDuration } from '../domain/duration.ts';
import { BrokerError, toBrokerError } from '../domain/errors.ts';
import { quoted } from '../domain/text.ts';

const schema = z.strictObject({
  /** Told when a flight waits or has finished: a program and its arguments. */
  notify: z.array(z.string().refine((each) => !each.includes('\0'), 'has a NUL byte')).min(1, 'names no program').optional(),
  /** For every flight of this node, not only those with --notify. */
  notify_all: z.boolean().optional(),
  /** How long what an agent asks waits for an answer, unless the agent says otherwise. */
  request_timeout: z.string().transform(durationMs).optional(),
});

const examples = { notify: 'notify = ["notify-send", "Beckon"]', notify_all: 'notify_all = true', request_timeout: 'request_timeout = "30m"' } as const;

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
    const { notify, notify_all: notifyAll = false, request_timeout: requestMs } = read.data;
    return { ...(notify === undefined ? {} : { notify }), notifyAll, ...(requestMs === undefined ? {} : { requestMs }) };
  }
  const [issue] = read.error.issues;
  const key = String(issue?.code === 'unrecognized_keys' ? issue.keys[0] : (issue?.path[0] ?? ''));
  const known = `known are: ${Object.keys(schema.shape).join(', ')}`;
  if (issue?.code === 'unrecognized_keys') throw flaw(path, lineOf(text, key), `unknown key ${quoted(key)}`, known);
  throw flaw(path, lineOf(text, key), `${key}: ${issue?.message ?? 'not understood'}`, `for example: ${examples[key as keyof typeof examples] ?? examples.notify}`);
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

function flaw(path: string, line: number | undefined, what: string, hint: string): BrokerError {
  return new BrokerError('invalid', `${path}${line === undefined ? '' : `:${line}`}: ${what}`, { hint });
}
