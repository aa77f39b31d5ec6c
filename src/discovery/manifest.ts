/** The manifest of a project, as strangers may have written it: small, inside the project, and nothing in it unknown. */
import { constants } from 'node:fs';
import { open, realpath } from 'node:fs/promises';
import { join, normalize, sep } from 'node:path';
import { z } from 'zod';
import { readName } from '../domain/name.ts';
import { permissions } from '../domain/invocation.ts';
import { manifestName } from '../domain/project.ts';
import type { ProjectWords } from '../domain/project.ts';
import { readBy } from '../domain/read-by.ts';
import { visibilities } from '../domain/registration.ts';
import { neutralise, quoted } from '../domain/text.ts';
import { invalid } from '../domain/errors.ts';
import { kindOf, isSystemError } from './repository.ts';
import { tableOf } from './table.ts';

const mostBytes = 64 * 1024;

function named(text: string, context: z.RefinementCtx): string {
  const read = readName(text);
  if ('name' in read) return read.name;
  context.addIssue(`${quoted(text)} is not a name: ${read.fault.why}`);
  return z.NEVER;
}

const name = z.string().transform(named);
/** One line that drives no terminal. */
const line = (longest: number) =>
  z
    .string()
    .max(longest, `has more than ${longest} characters`)
    .refine((text) => !/[\t\n]/.test(text) && neutralise(text) === text, 'has a control character');
const argument = z.string().refine((text) => !text.includes('\0'), 'has a NUL byte');

/** A program of the project is named from its directory, and is in it. */
function isInside([program = '']: readonly string[]): boolean {
  if (program.startsWith('/') || !program.includes('/')) return true;
  return !/^\.\.(\/|$)/.test(normalize(program));
}

/** What may be said of a project, in its manifest and, but for the first word's case, in the config file. */
export const projectFields = {
  name: name.optional(),
  description: line(1000).optional(),
  harness: name.optional(),
  command: z
    .array(argument)
    .min(1, 'names no program')
    .max(1000, 'has more than 1000 words')
    .refine(([program]) => program !== '', 'names no program')
    .refine(isInside, 'its program is outside of the project: give its absolute path, or its name alone')
    .optional(),
  permissions: z.enum(permissions).optional(),
  isolate: z.boolean().optional(),
  capabilities: z.array(name).max(100, 'has more than 100 entries').optional(),
  labels: tableOf(z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._/-]{0,62}$/, 'is not the name of a label'), line(256))
    .refine((labels) => Object.keys(labels).length <= 100, 'has more than 100 entries')
    .optional(),
  env: z
    .array(argument.regex(/^[A-Za-z_][A-Za-z0-9_]*(=|$)/, 'is not NAME or NAME=VALUE'))
    .max(100, 'has more than 100 entries')
    .optional(),
  visibility: z.enum(visibilities).optional(),
} as const;

export const workspaceField = line(200).min(1, 'is empty').optional();

const schema = z.strictObject({ ...projectFields, defaultWorkspace: workspaceField });

/** Undefined when there is none. @throws BrokerError `invalid`, naming the file and what is wrong */
export async function readManifest(directory: string): Promise<ProjectWords | undefined> {
  const path = join(directory, manifestName);
  const bytes = await bytesOf(path, directory);
  if (bytes === undefined) return undefined;
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (error) {
    if (error instanceof TypeError) throw flaw(path, 'it is not UTF-8');
    throw error;
  }
  return parseManifest(text, path);
}

/** @param path for messages */
export function parseManifest(text: string, path: string): ProjectWords {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) throw flaw(path, `not JSON: ${neutralise(error.message).replaceAll('\n', ' ').slice(0, 200)}`);
    throw error;
  }
  const read = readBy(schema, value);
  if (read === undefined) throw flaw(path, 'a field is neither a list nor a text, and has a length');
  if (read.success) return withoutUndefined(read.data);
  throw flaw(path, issueWords(read.error, Object.keys(schema.shape)));
}

/** One sentence for what is wrong first: the field, and why. */
export function issueWords({ issues: [issue] }: z.ZodError, known: readonly string[]): string {
  const field = (issue?.path ?? []).map((key, index) => (typeof key === 'number' ? `[${key}]` : `${index === 0 ? '' : '.'}${plainKey(String(key))}`)).join('');
  if (issue?.code === 'unrecognized_keys') return `${field === '' ? '' : `${field}: `}unknown key ${quoted(issue.keys[0] ?? '')}; known are: ${known.join(', ')}`;
  // A key that is wrong has its reason inside.
  const why = issue?.code === 'invalid_key' ? (issue.issues[0]?.message ?? issue.message) : (issue?.message ?? 'not understood');
  return `${field === '' ? '' : `${field}: `}${why}`;
}

function plainKey(key: string): string {
  return /^[\w./-]{1,64}$/.test(key) ? key : quoted(key);
}

/** Absent is absent. */
export function withoutUndefined(data: z.infer<typeof schema>): ProjectWords {
  return Object.fromEntries(Object.entries(data).filter(([, value]) => value !== undefined)) as ProjectWords;
}

async function bytesOf(path: string, directory: string): Promise<Uint8Array | undefined> {
  if ((await kindOf(path)) === undefined) return undefined;
  try {
    const [actual, inside] = [await realpath(path), await realpath(directory)];
    if (!actual.startsWith(`${inside}${sep}`)) throw flaw(path, 'it leads out of the project');
    // What stands there may be another thing by now: no link is followed, and no pipe waited for.
    await using file = await open(actual, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    const { size, isFile } = await file.stat().then((found) => ({ size: found.size, isFile: found.isFile() }));
    if (!isFile) throw flaw(path, 'it is not a file');
    if (size > mostBytes) throw flaw(path, `it has ${size} bytes, more than ${mostBytes}`);
    const { bytesRead, buffer } = await file.read(Buffer.alloc(mostBytes + 1), 0, mostBytes + 1, 0);
    if (bytesRead > mostBytes) throw flaw(path, `it has more than ${mostBytes} bytes`);
    return buffer.subarray(0, bytesRead);
  } catch (error) {
    if (isSystemError(error)) throw flaw(path, `it can’t be read (${error.code ?? 'unknown'})`);
    throw error;
  }
}

function flaw(path: string, why: string): ReturnType<typeof invalid> {
  return invalid(`${neutralise(path)}: ${why}`, 'README, Agents of your projects, says what a manifest may hold');
}
