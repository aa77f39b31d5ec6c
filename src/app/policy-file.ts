/**
 * The policy file: TOML, a table `[[allow]]` or `[[deny]]` a rule. What it does not know it refuses, and says where; a
 * file with one flaw has no rules at all, since what is left out of it might have been a denial.
 */
import { createHash } from 'node:crypto';
import { basename } from 'node:path';
import { examplesOfPatterns } from '../domain/agent-pattern.ts';
import type { ConfigFlaw } from '../domain/config-view.ts';
import { howToNameCallers } from '../domain/policy-caller.ts';
import type { Rule } from '../domain/policy.ts';
import { readBy } from '../domain/read-by.ts';
import { octalMode } from '../domain/text.ts';
import { compile, policySchema, ruleInFile } from './policy-schema.ts';
import { flawsOfIssues, notReadable } from './toml-flaws.ts';
import { parseToml, readTomlFile } from './toml-file.ts';
import type { Distrust, TomlFile } from './toml-file.ts';

export interface ReadPolicy {
  /** For messages. */
  readonly path: string;
  readonly exists: boolean;
  /** SHA-256 of the file, in hex; empty for none, and for one that can't be read. */
  readonly hash: string;
  readonly rules: readonly Rule[];
  /** With one there are no rules. */
  readonly flaws: readonly ConfigFlaw[];
}

const writableByOthers = 0o022;
const example = 'for example: [[allow]] and below it, a line each, from = ["person:bob"] agents = ["deploy"] verbs = ["invoke"]';
const hints: Readonly<Record<string, string>> = { from: howToNameCallers, agents: examplesOfPatterns, verbs: `for example: verbs = ["invoke"]` };

/** Never rejects: a file that is not there has no rules, one that can't be read or that others can change is a flaw. */
export async function readPolicyFile(path: string, uid: number): Promise<ReadPolicy> {
  return policyOf(path, await readTomlFile(path, distrust(path, uid)));
}

/** @param path for messages */
export function parsePolicyFile(text: string, path: string): ReadPolicy {
  return policyOf(path, parseToml(text));
}

function policyOf(path: string, file: TomlFile): ReadPolicy {
  if (file.kind === 'absent') return { path, exists: false, hash: '', rules: [], flaws: [] };
  if (file.kind === 'broken') return { path, exists: true, hash: '', rules: [], flaws: [{ source: path, ...file.flaw }] };
  const { table, places } = file;
  const hash = createHash('sha256').update(file.text).digest('hex');
  const read = readBy(policySchema, table);
  if (read === undefined) return { path, exists: true, hash, rules: [], flaws: [{ source: path, message: notReadable, hint: example }] };
  if (read.success) {
    const rules = compile(read.data, (effect, index) => {
      const { line = 1, column = 1 } = places.valueOf([effect, index]) ?? {};
      return { kind: 'file', where: `${basename(path)}:${line}:${column}` };
    });
    return { path, exists: true, hash, rules, flaws: [] };
  }
  const flaws = flawsOfIssues(read.error.issues, table, places, {
    knownAt: (at) => Object.keys(at.length === 0 ? policySchema.shape : ruleInFile.shape),
    hintAt: ([, , key]) => hints[String(key)] ?? example,
  });
  return { path, exists: true, hash, rules: [], flaws: flaws.map((each) => ({ source: path, ...each })) };
}

/** Whoever can change it decides who may do what here. */
function distrust(path: string, uid: number): Distrust {
  return (stat) => {
    if (stat.uid !== uid && stat.uid !== 0) return { message: `it belongs to user ${stat.uid}, and the node runs as ${uid}`, hint: `sudo chown ${uid} ${path}` };
    if ((stat.mode & writableByOthers) === 0) return undefined;
    return { message: `others can change it: its mode is ${octalMode(stat.mode & 0o777)}`, hint: `chmod go-w ${path}` };
  };
}
