/** A real store in a directory of its own, with ids and stamps that are made in order. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { base32 } from '../../src/domain/base32.ts';
import type { Stamp } from '../../src/domain/event.ts';
import { HybridClock } from '../../src/domain/hlc.ts';
import { attemptIdOf, invocationIdOf, nodeIdOfPublicKey } from '../../src/domain/ids.ts';
import type { AttemptId, InvocationId, NodeId, Ulid } from '../../src/domain/ids.ts';
import type { Invocation, Task } from '../../src/domain/invocation.ts';
import type { Log } from '../../src/domain/ports.ts';
import type { MeasuredStore } from '../../src/domain/store-measures.ts';
import type { AcceptInput, AcceptPlan } from '../../src/domain/store-port.ts';
import { openStore } from '../../src/store/open.ts';

/** Of a store that was opened without a key of its own for the audit. */
export const auditSealOf = (nodeId: NodeId): { readonly nodeId: NodeId; readonly key: Uint8Array } => ({ nodeId, key: new Uint8Array() });

export const silentLog: Log = { debug() {}, info() {}, warn() {}, error() {} };

/** A node id, the same each time for the same number. */
export function nodeIdFor(number: number): NodeId {
  const key = new Uint8Array(32);
  new DataView(key.buffer).setUint32(0, number);
  return nodeIdOfPublicKey(key);
}

export const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);

/** Ids and stamps of one node: time goes on by a millisecond a call, unless it is set. */
export class Story {
  nowMs: number;
  readonly #clock = new HybridClock();
  #count = 0;

  constructor(startMs = 1_700_000_000_000) {
    this.nowMs = startMs;
  }

  stamp(): Stamp {
    this.nowMs += 1;
    return { atMs: this.nowMs, hlc: this.#clock.tick(this.nowMs) };
  }

  ulid(): Ulid {
    this.#count += 1;
    return base32(this.nowMs, 10) + base32(this.#count, 16) as Ulid;
  }

  invocationId(): InvocationId {
    return invocationIdOf(this.ulid());
  }

  attemptId(): AttemptId {
    return attemptIdOf(this.ulid());
  }

  invocation(between: { origin: NodeId; owner: NodeId }, changes: Partial<Invocation> = {}): Invocation {
    const id = changes.id ?? this.invocationId();
    return {
      id,
      originNodeId: between.origin,
      ownerNodeId: between.owner,
      caller: 'uid:501',
      addressTyped: 'fabric',
      target: '@fabric@laptop#main',
      session: { mode: 'new' },
      limits: { holdMs: 3_600_000, totalMs: 7_200_000 },
      rerunnable: false,
      ancestry: { rootId: id, depth: 0, path: [] },
      acceptedAtMs: this.nowMs,
      ...changes,
    };
  }

  accept(invocation: Invocation, plan: AcceptPlan = { kind: 'local', queueLimit: 1000 }, changes: Partial<AcceptInput> = {}): AcceptInput {
    return { stamp: this.stamp(), invocation, task: textTask('do it'), payloadHash: 'hash', plan, ...changes };
  }
}

export const textTask = (text: string): Task => ({ text: utf8(text), files: [] });

export interface TempStore {
  readonly store: MeasuredStore;
  readonly path: string;
  readonly directory: string;
  readonly nodeId: NodeId;
  /** Closes the store and opens it again on the same file. */
  reopen(): Promise<MeasuredStore>;
  /** Closes and removes all. */
  [Symbol.asyncDispose](): Promise<void>;
}

export async function openTempStore(nodeId: NodeId = nodeIdFor(1), log: Log = silentLog): Promise<TempStore> {
  const directory = mkdtempSync(join(tmpdir(), 'beckon-store-'));
  const path = join(directory, 'beckon.db');
  let store = await openStore({ path, nodeId, log });
  return {
    get store() {
      return store;
    },
    path,
    directory,
    nodeId,
    async reopen() {
      await store.close();
      store = await openStore({ path, nodeId, log });
      return store;
    },
    async [Symbol.asyncDispose]() {
      await store.close();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
