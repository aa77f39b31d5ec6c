/**
 * A copy of a machine, or one whose key was removed from its mesh, becomes a node of its own: a new key, and a new store with
 * the same agents. Of the old one nothing is destroyed: its database, its keys and its marks are moved aside whole.
 *
 * The new state is made complete beside the old one. Then a file says that it counts: from there on whoever has the lock
 * goes on with the moves, each of which may be done twice. So a crash leaves the old state or the new one.
 */
import { existsSync } from 'node:fs';
import { mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises';
import { hostname } from 'node:os';
import { basename, join } from 'node:path';
import { z } from 'zod';
import { Chronicler } from '../broker/chronicler.ts';
import { nameFrom, onNode } from '../domain/address.ts';
import { invalid, notFound } from '../domain/errors.ts';
import type { NodeId } from '../domain/ids.ts';
import type { Clock, Log } from '../domain/ports.ts';
import { acquireLock } from '../store/lock.ts';
import { openStore } from '../store/open.ts';
import { readKeyFile } from '../trust/key-file.ts';
import { loadOrCreateNodeKey, nodeKeyOf } from '../trust/node-key.ts';
import type { Paths } from './paths.ts';
import { ensurePrivateDir } from './private-dir.ts';
import { readRemembered, rememberedPath } from './remembered.ts';

/** What is done, in order: a test can fail each. */
export const rekeySteps = ['made', 'decided', 'moved aside', 'all aside', 'moved in', 'all in', 'done'] as const;
export type RekeyStep = (typeof rekeySteps)[number];

export interface RekeyParts {
  readonly paths: Pick<Paths, 'stateDir' | 'dbFile' | 'epochFile' | 'lockFile' | 'keyFile' | 'trustDir' | 'cloneFile'>;
  readonly clock: Clock;
  readonly log: Log;
  readonly version: string;
  /** Called after each step. */
  readonly onStep?: (step: RekeyStep) => void;
}

export interface Rekeyed {
  readonly nodeId: NodeId;
  readonly was: NodeId;
  /** Registered anew. */
  readonly agents: readonly string[];
  /** Where all that was is kept. */
  readonly aside: string;
}

const journalSchema = z.strictObject({ aside: z.string(), names: z.array(z.string()) });
type Journal = z.infer<typeof journalSchema>;

const stagedIn = (stateDir: string): string => join(stateDir, 'rekey');
const journalOf = (stateDir: string): string => join(stateDir, 'rekey.json');
const wishOf = (stateDir: string): string => join(stateDir, 'rekey.wanted');

/** From a node that runs: to be done at its next start. Durable when it resolves. */
export async function wishRekey({ stateDir }: Pick<Paths, 'stateDir'>): Promise<void> {
  await writeDurably(wishOf(stateDir), 'its key was removed from its mesh');
}

/** @throws as `rekey` does */
export async function rekeyIfWished(parts: RekeyParts): Promise<void> {
  if (existsSync(wishOf(parts.paths.stateDir))) await rekey(parts);
}

/** @throws BrokerError `conflict` while a node runs, `not_found` where none has ever run; whatever its store and keys say */
export async function rekey(parts: RekeyParts): Promise<Rekeyed> {
  const { paths, clock, log, onStep = () => undefined } = parts;
  const { stateDir } = paths;
  const lock = acquireLock(paths.lockFile);
  try {
    await finishRekey(paths, onStep);
    const oldKey = await readKeyFile(paths.keyFile);
    if (oldKey === undefined || !existsSync(paths.dbFile)) throw notFound(`no node has run in ${stateDir} yet`, 'nothing has to be put right');
    const was = nodeKeyOf(oldKey).nodeId;
    const staged = stagedIn(stateDir);
    await ensurePrivateDir(staged);
    await ensurePrivateDir(join(staged, basename(paths.trustDir)));
    const { nodeId } = await loadOrCreateNodeKey(join(staged, basename(paths.trustDir), basename(paths.keyFile)));
    const agents = await copyAgents(parts, { was, nodeId, to: join(staged, basename(paths.dbFile)) });
    await sync(staged);
    onStep('made');
    const aside = await placeAside(join(stateDir, 'set-aside'), new Date(clock.now()).toISOString().replaceAll(/[-:]|\.\d+/g, ''));
    const old = [paths.dbFile, `${paths.dbFile}-wal`, `${paths.dbFile}-shm`, paths.epochFile, paths.trustDir, paths.cloneFile, wishOf(stateDir)];
    await writeDurably(journalOf(stateDir), JSON.stringify({ aside, names: old.filter((path) => existsSync(path)).map((path) => basename(path)) } satisfies Journal));
    onStep('decided');
    await finishRekey(paths, onStep);
    log.warn({ was, directory: aside }, `this node has a key of its own now, ${nodeId}; what it was is set aside`);
    return { nodeId, was, agents, aside };
  } finally {
    lock.release();
  }
}

/**
 * Goes on with what a crash interrupted; whoever starts a node calls it first, with the lock. What was not decided yet is
 * thrown away. @throws BrokerError `invalid` when the file that says so can't be understood
 */
export async function finishRekey({ stateDir }: Pick<Paths, 'stateDir'>, onStep: (step: RekeyStep) => void = () => undefined): Promise<void> {
  const staged = stagedIn(stateDir);
  const journal = await readJournal(journalOf(stateDir));
  if (journal !== undefined) {
    const { aside, names } = journal;
    for (const name of names) {
      if (existsSync(join(aside, name))) continue;
      await rename(join(stateDir, name), join(aside, name));
      onStep('moved aside');
    }
    await sync(aside);
    await sync(stateDir);
    onStep('all aside');
    for (const name of existsSync(staged) ? await readdir(staged) : []) {
      await rename(join(staged, name), join(stateDir, name));
      onStep('moved in');
    }
    await sync(stateDir);
    onStep('all in');
    await rm(journalOf(stateDir));
    await sync(stateDir);
    onStep('done');
  }
  await rm(staged, { recursive: true, force: true });
}

/** A store that knows nothing but this machine's agents, under the name that the next start has. */
async function copyAgents({ paths, clock, log, version }: RekeyParts, { was, nodeId, to }: { readonly was: NodeId; readonly nodeId: NodeId; readonly to: string }): Promise<readonly string[]> {
  const { name: wished } = await readRemembered(rememberedPath(paths.stateDir));
  const name = wished ?? nameFrom(hostname().split('.')[0] ?? '') ?? 'node';
  const old = await openStore({ path: paths.dbFile, nodeId: was, log });
  try {
    const fresh = await openStore({ path: to, nodeId, log });
    try {
      const chronicler = new Chronicler(clock, undefined);
      await fresh.write.boot({ stamp: chronicler.stamp(), nodeId, version });
      const registrations = new Map(old.read.ownRegistrations().map((each) => [each.address, each]));
      const agents: string[] = [];
      for (const endpoint of old.read.endpoints()) {
        const registration = registrations.get(endpoint.address);
        if (registration === undefined) continue;
        const address = onNode(endpoint.address, name);
        await fresh.write.addAgent({ stamp: chronicler.stamp(), endpoint: { ...endpoint, address }, registration: { ...registration, address, nodeId } });
        agents.push(address);
      }
      return agents;
    } finally {
      await fresh.close();
    }
  } finally {
    await old.close();
  }
}

/** A directory that nothing is in yet. */
async function placeAside(parent: string, at: string): Promise<string> {
  await ensurePrivateDir(parent);
  for (let number = 1; ; number += 1) {
    const path = join(parent, number === 1 ? `copy-${at}` : `copy-${at}-${number}`);
    if (existsSync(path) && (await readdir(path)).length > 0) continue;
    await ensurePrivateDir(path);
    return path;
  }
}

async function readJournal(path: string): Promise<Journal | undefined> {
  if (!existsSync(path)) return undefined;
  const text = await readFile(path, 'utf8');
  try {
    return journalSchema.parse(JSON.parse(text));
  } catch (cause) {
    throw invalid(`${path} can't be understood: ${cause instanceof Error ? cause.name : 'no JSON'}`, 'it says how far this machine’s new key had come; see what is in the directories rekey and set-aside beside it');
  }
}

/** A crash leaves it whole, or not there. */
async function writeDurably(path: string, content: string): Promise<void> {
  await mkdir(join(path, '..'), { recursive: true });
  {
    await using file = await open(`${path}.new`, 'w', 0o600);
    await file.writeFile(`${content}\n`);
    await file.sync();
  }
  await rename(`${path}.new`, path);
  await sync(join(path, '..'));
}

async function sync(path: string): Promise<void> {
  await using directory = await open(path, 'r');
  await directory.sync();
}
