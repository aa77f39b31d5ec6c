/**
 * A copy of a machine, or one whose key was removed from its mesh, becomes a node of its own: a new key, and a new store with
 * the same agents. Of the old one nothing is destroyed: its database, its keys and its marks are moved aside whole.
 *
 * The new state is made complete beside the old one. Then a file says that it counts: from there on whoever has the lock
 * goes on with the moves, each of which may be done twice. So a crash leaves the old state or the new one.
 */
import { existsSync } from 'node:fs';
import { readdir, readFile, rename, rm } from 'node:fs/promises';
import { hostname } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { z } from 'zod';
import { Chronicler } from '../broker/chronicler.ts';
import { nameFrom, onNode } from '../domain/address.ts';
import { invalid, notFound } from '../domain/errors.ts';
import type { NodeId } from '../domain/ids.ts';
import type { Clock, Log } from '../domain/ports.ts';
import { acquireLock } from '../store/lock.ts';
import { openStore } from '../store/open.ts';
import { readKeyFile } from '../trust/key-file.ts';
import { auditKeyOf } from '../trust/audit-key.ts';
import { loadOrCreateNodeKey, nodeKeyOf } from '../trust/node-key.ts';
import type { NodeKey } from '../trust/node-key.ts';
import { AuditAnchor } from './audit-anchor.ts';
import { syncDirectory, writeDurably } from './durable-file.ts';
import type { Paths } from './paths.ts';
import { ensurePrivateDir } from './private-dir.ts';
import { readRemembered, rememberedPath } from './remembered.ts';

/** What is done, in order: a test can fail each. */
export const rekeySteps = ['made', 'decided', 'moved aside', 'all aside', 'moved in', 'all in', 'done'] as const;
export type RekeyStep = (typeof rekeySteps)[number];

export interface RekeyParts {
  readonly paths: Pick<Paths, 'stateDir' | 'dbFile' | 'epochFile' | 'auditFile' | 'lockFile' | 'keyFile' | 'trustDir' | 'cloneFile'>;
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
/** As in `refused-key.ts`. */
export const refusedKeyPath = (stateDir: string): string => join(stateDir, 'rekey.refused');

/** From a node that runs: to be done at its next start. Durable when it resolves. */
export async function wishRekey({ stateDir }: Pick<Paths, 'stateDir'>): Promise<void> {
  await writeDurably(wishOf(stateDir), 'its key was removed from its mesh\n');
}

/** Whether this node has another key from its next start on. */
export function isRekeyWished({ stateDir }: Pick<Paths, 'stateDir'>): boolean {
  return existsSync(wishOf(stateDir));
}

/** @throws as `rekey` does */
export async function rekeyIfWished(parts: RekeyParts): Promise<void> {
  if (isRekeyWished(parts.paths)) await rekey(parts);
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
    const nodeKey = await loadOrCreateNodeKey(join(staged, basename(paths.trustDir), basename(paths.keyFile)));
    const { nodeId } = nodeKey;
    const agents = await copyAgents(parts, { was, nodeKey, to: join(staged, basename(paths.dbFile)) });
    await syncDirectory(staged);
    onStep('made');
    const aside = await placeAside(join(stateDir, 'set-aside'), new Date(clock.now()).toISOString().replaceAll(/[-:]|\.\d+/g, ''));
    const old = [paths.dbFile, `${paths.dbFile}-wal`, `${paths.dbFile}-shm`, paths.epochFile, paths.auditFile, paths.trustDir, paths.cloneFile, refusedKeyPath(stateDir), wishOf(stateDir)];
    await writeDurably(journalOf(stateDir), JSON.stringify({ aside, names: old.filter((path) => existsSync(path)).map((path) => basename(path)) } satisfies Journal) + '\n');
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
    await syncDirectory(aside);
    await syncDirectory(stateDir);
    onStep('all aside');
    for (const name of existsSync(staged) ? await readdir(staged) : []) {
      await rename(join(staged, name), join(stateDir, name));
      onStep('moved in');
    }
    await syncDirectory(stateDir);
    onStep('all in');
    await rm(journalOf(stateDir));
    await syncDirectory(stateDir);
    onStep('done');
  }
  await rm(staged, { recursive: true, force: true });
}

/** A store that knows nothing but this machine's agents, under the name that the next start has. */
async function copyAgents({ paths, clock, log, version }: RekeyParts, { was, nodeKey, to }: { readonly was: NodeId; readonly nodeKey: NodeKey; readonly to: string }): Promise<readonly string[]> {
  const { name: wished } = await readRemembered(rememberedPath(paths.stateDir));
  const { nodeId } = nodeKey;
  const auditKey = auditKeyOf(nodeKey);
  const name = wished ?? nameFrom(hostname().split('.')[0] ?? '') ?? 'node';
  const old = await openStore({ path: paths.dbFile, nodeId: was, log });
  try {
    const anchor = await AuditAnchor.open({ path: join(dirname(to), basename(paths.auditFile)), key: auditKey, log });
    const fresh = await openStore({ path: to, nodeId, log, auditKey, onAudit: (head) => anchor.heard(head) });
    try {
      const chronicler = new Chronicler(clock, undefined);
      await fresh.write.boot({ stamp: chronicler.stamp(), nodeId, version });
      await fresh.write.audit({ stamp: chronicler.stamp(), entries: [{ kind: 'node.rekeyed', about: { was } }] });
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
      await anchor.settled();
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
    throw invalid(`${path} can’t be understood: ${cause instanceof Error ? cause.name : 'no JSON'}`, 'it says how far this machine’s new key had come; see what is in the directories rekey and set-aside beside it');
  }
}
