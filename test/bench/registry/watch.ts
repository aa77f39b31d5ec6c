/** Asks the databases of all nodes, from a process of its own, when they have what was changed elsewhere. */
import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';

export interface WatchedDatabase {
  readonly path: string;
  readonly nodeId: string;
}

/** What a row of `registrations` is to be. */
export type Wanted = 'present' | 'absent' | 'available' | 'unavailable';

export type Question =
  | { readonly type: 'open'; readonly id: number; readonly databases: readonly WatchedDatabase[] }
  | { readonly type: 'forget'; readonly id: number; readonly nodeId: string }
  /** Of each database but those of `except`. */
  | { readonly type: 'row'; readonly id: number; readonly owner: string; readonly address: string; readonly wanted: Wanted; readonly timeoutMs: number }
  /** Registrations of others, and members, in each database, or in that of one node. */
  | { readonly type: 'count'; readonly id: number; readonly registrations: number; readonly members: number; readonly only?: string; readonly timeoutMs: number };

export type Reply =
  | { readonly type: 'watching'; readonly id: number }
  /** On the machine's monotonic clock, ms: when each database had it. */
  | { readonly type: 'seen'; readonly id: number; readonly atMs: readonly number[] }
  | { readonly type: 'late'; readonly id: number; readonly missing: readonly string[] };

/** The same in every process of this machine. */
export function machineMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

export class Watch implements AsyncDisposable {
  readonly #process: ChildProcess;
  readonly #watching = new Map<number, () => void>();
  readonly #waiting = new Map<number, { readonly resolve: (atMs: readonly number[]) => void; readonly reject: (error: Error) => void }>();
  #next = 1;

  /** @param signal ends all waiting */
  constructor(signal: AbortSignal) {
    this.#process = fork(new URL('./watcher.ts', import.meta.url), { execArgv: ['--disable-warning=ExperimentalWarning'] });
    this.#process.on('message', (reply: Reply) => this.#take(reply));
    this.#process.on('exit', (code) => this.#giveUp(new Error(`the watcher ended with ${code}`)));
    signal.addEventListener('abort', () => this.#giveUp(new Error('interrupted')), { once: true });
  }

  async open(databases: readonly WatchedDatabase[]): Promise<void> {
    await this.#ask({ type: 'open', id: this.#next++, databases });
  }

  async forget(nodeId: string): Promise<void> {
    await this.#ask({ type: 'forget', id: this.#next++, nodeId });
  }

  /** Resolves when it is being looked for; `seen` when all have it. */
  async row(owner: string, address: string, wanted: Wanted, timeoutMs = 60_000): Promise<{ readonly seen: Promise<readonly number[]> }> {
    const { seen } = await this.#ask({ type: 'row', id: this.#next++, owner, address, wanted, timeoutMs });
    return { seen };
  }

  async counts(registrations: number, members: number, { only, timeoutMs = 600_000 }: { readonly only?: string; readonly timeoutMs?: number } = {}): Promise<readonly number[]> {
    const { seen } = await this.#ask({ type: 'count', id: this.#next++, registrations, members, timeoutMs, ...(only === undefined ? {} : { only }) });
    return seen;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#process.exitCode !== null) return;
    const ended = new Promise<void>((resolve) => this.#process.once('exit', () => resolve()));
    this.#process.disconnect();
    await ended;
  }

  #giveUp(error: Error): void {
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
  }

  async #ask(question: Question): Promise<{ readonly seen: Promise<readonly number[]> }> {
    const { id } = question;
    const seen = new Promise<readonly number[]>((resolve, reject) => this.#waiting.set(id, { resolve, reject }));
    // It may be late before anybody waits for it.
    seen.catch(() => this.#waiting.delete(id));
    const watching = new Promise<void>((resolve) => this.#watching.set(id, resolve));
    this.#process.send(question);
    await watching;
    return { seen };
  }

  #take(reply: Reply): void {
    const { id } = reply;
    if (reply.type === 'watching') {
      this.#watching.get(id)?.();
      this.#watching.delete(id);
      return;
    }
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (reply.type === 'seen') waiting?.resolve(reply.atMs);
    else waiting?.reject(new Error(`not in time at ${reply.missing.length} nodes: ${reply.missing.slice(0, 5).join(', ')}`));
  }
}
