/**
 * That other nodes took this one for the second machine with its key, kept in a file beside the database: `doctor`
 * tells of it while the node is down too. What one of them said counts until that one accepts this node.
 */
import { rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { z } from 'zod';
import type { Check } from '../domain/checks.ts';
import { invalid } from '../domain/errors.ts';
import type { Log } from '../domain/ports.ts';
import { readBy } from '../domain/read-by.ts';
import { jsonOf, readIfThere, syncDirectory, writeDurably } from './durable-file.ts';

const schema = z.strictObject({
  nodeId: z.string(),
  refusals: z.array(z.strictObject({ by: z.string(), name: z.string(), why: z.string(), atMs: z.number() })).min(1),
});

export type CloneMark = z.infer<typeof schema>;

/** Undefined when there is none, or it speaks of a key that this node had. @throws BrokerError `invalid`, `unavailable` */
export async function readCloneMark(path: string, nodeId?: string): Promise<CloneMark | undefined> {
  const content = await readIfThere(path);
  if (content === undefined) return undefined;
  const mark = readBy(schema, jsonOf(content));
  if (mark?.success !== true) throw invalid(`${path} can’t be understood`, 'it says which nodes refused this one: remove it, and it is written anew');
  return nodeId === undefined || mark.data.nodeId === nodeId ? mark.data : undefined;
}

export function cloneWords({ refusals }: CloneMark): string {
  const names = refusals.map(({ name }) => name);
  return `refused by ${names.join(', ')}: ${refusals[0]?.why ?? ''}`;
}

export function cloneCheck(mark: CloneMark): Check {
  return { id: 'clone', ok: false, detail: cloneWords(mark), hint: 'if this machine is the copy: beckon doctor --fix gives it a key of its own' };
}

/** Keeps the file as it should be while the node runs. */
export class CloneMarkKeeper {
  readonly #path: string;
  readonly #nodeId: string;
  readonly #log: Log;
  #mark: CloneMark | undefined;
  #writing: Promise<void> = Promise.resolve();

  private constructor(path: string, nodeId: string, log: Log, mark: CloneMark | undefined) {
    this.#path = path;
    this.#nodeId = nodeId;
    this.#log = log;
    this.#mark = mark;
  }

  /** @throws as `readCloneMark` does */
  static async open(path: string, nodeId: string, log: Log): Promise<CloneMarkKeeper> {
    return new CloneMarkKeeper(path, nodeId, log, await readCloneMark(path, nodeId));
  }

  /** What `status` says of it. */
  get standing(): { readonly refused?: string } {
    return this.#mark === undefined ? {} : { refused: cloneWords(this.#mark) };
  }

  /** False when that is known. */
  refused(by: { readonly nodeId: string; readonly name: string }, why: string, atMs: number): boolean {
    const others = this.#mark?.refusals ?? [];
    if (others.some((each) => each.by === by.nodeId && each.why === why)) return false;
    this.#set({ nodeId: this.#nodeId, refusals: [...others.filter((each) => each.by !== by.nodeId), { by: by.nodeId, name: by.name, why, atMs }] });
    return true;
  }

  accepted(by: { readonly nodeId: string }): void {
    if (this.#mark === undefined) return;
    const refusals = this.#mark.refusals.filter((each) => each.by !== by.nodeId);
    if (refusals.length < this.#mark.refusals.length) this.#set(refusals.length === 0 ? undefined : { ...this.#mark, refusals });
  }

  /** Resolves when the file is as it should be, or could not be. */
  settled(): Promise<void> {
    return this.#writing;
  }

  #set(mark: CloneMark | undefined): void {
    this.#mark = mark;
    this.#writing = this.#writing
      .then(() => write(this.#path, mark))
      .catch((error: unknown) => this.#log.error({ err: error }, 'that other nodes refuse this one as a copy could not be written down'));
  }
}

async function write(path: string, mark: CloneMark | undefined): Promise<void> {
  if (mark !== undefined) return await writeDurably(path, `${JSON.stringify(mark, undefined, 2)}\n`);
  await rm(path, { force: true });
  await syncDirectory(dirname(path));
}
