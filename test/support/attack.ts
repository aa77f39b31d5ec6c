/**
 * An attack on a real node, in a closed form: whatever the case, the same is looked at. The attacker was refused, with a code;
 * the victim's log has one line about it, or a counter moved; its store holds what it held, its audit what the case names; it still
 * serves, has not grown, and nothing that it did not run before runs. What a case lets pass of this it names.
 */
import { test } from 'vitest';
import type { AuditKind } from '../../src/domain/audit.ts';
import { expectInAll } from './attack-audit.ts';
import type { Ended } from './cli.ts';
import type { Attack as Case, AttackNote, Attacked, Told, Verdict } from './attack-form.ts';
import { judge } from './attack-form.ts';
import type { TestNode } from './node-process.ts';
import { because } from './programs.ts';
import { watched } from './watched-node.ts';

export type { AttackNote, Stored, Told, Verdict } from './attack-form.ts';

export interface Victim extends Omit<Attacked, 'node'> {
  readonly node: TestNode;
}

export interface Attack<Ready> extends Case<Ready> {
  /** Asked when the case runs: then the file's nodes are up. */
  readonly victim: () => Victim;
  readonly timeoutMs?: number;
  /** Why it can't be tried here. */
  readonly skip?: string | undefined;
}

export const harmless: Told = { code: 'harmless' };

declare module 'vitest' {
  interface TaskMeta {
    attack?: AttackNote;
  }
}

/** What the cases so far named of the audit of that node. */
const owed = new Map<TestNode, readonly AuditKind[]>();

/** For a node that has ended as it should. @throws when its audit lacks what cases named */
export function expectOwed(node: TestNode): void {
  expectInAll(node.databasePath, owed.get(node) ?? []);
}

export function attack<Ready = undefined>(name: string, its: Attack<Ready>): void {
  test.skipIf(its.skip !== undefined)(`${name}${because(its.skip)}`, async ({ task }) => {
    const { node, serves } = its.victim();
    task.meta.attack = await judge({ node: watched(node), serves }, its);
    owed.set(node, [...(owed.get(node) ?? []), ...(its.audit ?? [])]);
  }, its.timeoutMs);
}

/** How a command of a node's user was refused. @throws when it was not */
export function toldBy({ code, stdout, stderr }: Ended): Told {
  if (code === 0) throw new Error(`it was not refused: ${stdout.toString().slice(0, 500)}`);
  const lines = stdout.toString().split('\n').filter((line) => line.startsWith('{'));
  for (const text of [stdout.toString(), ...lines.toReversed()]) {
    const error = errorIn(text);
    if (error !== undefined) return { code: error.code, words: `${error.message} ${error.hint ?? ''}` };
  }
  throw new Error(`it exited ${code} without an error in JSON: ${stdout.toString().slice(0, 500)} ${stderr.slice(0, 500)}`);
}

/** How a promise of the SDK, or of a call between nodes, was refused. @throws when it was not */
export async function toldByError(work: Promise<unknown>): Promise<Told> {
  try {
    await work;
  } catch (error) {
    const { code, message } = error as { readonly code?: unknown; readonly message: string };
    if (typeof code !== 'string') throw error;
    return { code: code as Verdict, words: message };
  }
  throw new Error('it was not refused');
}

function errorIn(text: string): { readonly code: Verdict; readonly message: string; readonly hint?: string } | undefined {
  try {
    const { error } = JSON.parse(text) as { readonly error?: { readonly code: Verdict; readonly message: string; readonly hint?: string } };
    return error;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
