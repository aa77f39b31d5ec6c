/**
 * The logs of a node, searched for what must be in none: the tasks and files that its store has, what agents printed,
 * asked and were told, their arguments and environment, tokens, keys. Each test that ends a node in `LocalNode` or
 * `Cluster` does this, so that a run of all tests searches all its logs.
 */
import Database from 'better-sqlite3';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Shorter ones are words that anybody may say. */
const shortest = 16;
const longest = 80;
const mostTexts = 5_000;
/** Of one text, bytes of it or characters. */
const mostOfOne = 100_000;

const tokens = [/bkn1\.[\w-]{10,}/, /flt_[0-9A-Z]{26}\.[\w-]{20,}/, /-----BEGIN/, /tskey-\w/];

/** One sentence for each; empty when all is well. @param home the state directory of the node, which has stopped */
export function searchLogs(home: string): string[] {
  const logs = textsIn(join(home, 'logs'), (name) => /^(node\.log(\.\d+)?|stderr\.log)$/.test(name));
  if (logs.length === 0) return [];
  const secrets = [...keysIn(join(home, 'trust')), ...storedIn(join(home, 'beckon.db'))];
  return logs.flatMap(([name, log]) => [
    ...tokens.filter((token) => token.test(log)).map((token) => `${name} has a token or a key (${token}): ${lineWith(log, (line) => token.test(line))}`),
    ...secrets.filter(({ text }) => log.includes(text)).map(({ what, text }) => `${name} has ${what}: ${lineWith(log, (line) => line.includes(text))}`),
  ]);
}

/** All findings as one error. */
export function flawOfLogs(homes: readonly string[]): Error | undefined {
  const found = homes.flatMap((home) => searchLogs(home).map((each) => `${home}: ${each}`));
  return found.length === 0 ? undefined : new Error(`logs have what must be in none:\n${found.slice(0, 10).join('\n')}`);
}

interface Secret {
  readonly what: string;
  /** As a log would have it. */
  readonly text: string;
}

function storedIn(path: string): Secret[] {
  if (!existsSync(path)) return [];
  const db = openOf(path);
  if (db === undefined) return [];
  try {
    // No more than is looked for: a store may have a thousand tasks of 16 MiB.
    const column = (what: string, sql: string): Secret[] =>
      db.prepare<[number, number], { it: Buffer | string | null }>(`SELECT substr(it, 1, ?) AS it FROM (${sql}) LIMIT ?`).all(mostOfOne, mostTexts).flatMap(({ it }) => secretsOf(what, it?.toString() ?? ''));
    const list = (what: string, sql: string, from: number): Secret[] => db.prepare<[], { it: string }>(sql).all().flatMap(({ it }) => (JSON.parse(it) as string[]).slice(from).flatMap((each) => secretsOf(what, each.replace(/^\w+=/, ''))));
    return [
      ...column('a task', 'SELECT text AS it FROM payloads'),
      ...column('a file of a task', 'SELECT bytes AS it FROM payload_files'),
      ...column('what an agent said', 'SELECT bytes AS it FROM flight_events'),
      ...column('what is long of tasks and of what agents said', 'SELECT bytes AS it FROM large_bytes'),
      ...column('what an agent asked', 'SELECT prompt AS it FROM flight_events'),
      ...column('what a person replied', 'SELECT text AS it FROM replies'),
      ...list('an argument of an agent', 'SELECT argv AS it FROM agent_endpoints', 1),
      ...list('a variable of an agent', 'SELECT env AS it FROM agent_endpoints', 0),
    ].slice(0, mostTexts);
  } finally {
    db.close();
  }
}

/** Tests damage databases, and lock them: of such a one nothing is known. */
function openOf(path: string): Database.Database | undefined {
  try {
    const db = new Database(path, { readonly: true, fileMustExist: true });
    db.prepare('SELECT count(*) FROM flight_events').get();
    return db;
  } catch (error) {
    if (error instanceof Database.SqliteError) return undefined;
    throw error;
  }
}

/** Each line of it that is long enough to be told from others; an id, an address or a path alone is no secret. */
function secretsOf(what: string, text: string): Secret[] {
  return text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line.length >= shortest && !/^(@|\/|\w{3}_[0-9A-Z]{26})\S*$/.test(line))
    .map((line) => ({ what, text: JSON.stringify(line.slice(0, longest)).slice(1, -1) }));
}

function keysIn(directory: string): Secret[] {
  const bodies = textsIn(directory, (name) => name.endsWith('.key')).flatMap(([, pem]) => pem.split('\n').filter((line) => line.length >= shortest && !line.startsWith('-----')));
  return bodies.map((text) => ({ what: 'a key', text }));
}

function textsIn(directory: string, isWanted: (name: string) => boolean): [name: string, text: string][] {
  if (!existsSync(directory)) return [];
  const files = readdirSync(directory, { recursive: true, withFileTypes: true }).filter((each) => each.isFile() && isWanted(each.name));
  return files.map((each) => [each.name, readFileSync(join(each.parentPath, each.name), 'utf8')]);
}

function lineWith(log: string, isIt: (line: string) => boolean): string {
  return (log.split('\n').find(isIt) ?? '').slice(0, 500);
}
