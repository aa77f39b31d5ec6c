/**
 * Everything that one agent started, as far as the platform shows it: its session (the agent leads one of its own),
 * what its living processes have as children, and the sessions of those. Not found: a process that left the session
 * and whose parent had ended before anybody looked, which is how a daemon says that it shall stay.
 */
import type { Clock } from '../domain/ports.ts';
import type { ProcessEntry, ReadProcesses } from './process-table.ts';

/** Between two looks at what is left, ms. */
const firstPollMs = 10;
const longestPollMs = 100;

/** After KILL, ms: what the kernel can't end (another user's, stuck in a system call) must not hold up the node. */
const giveUpMs = 10_000;

export interface GroupPorts {
  readonly clock: Clock;
  readonly readProcesses: ReadProcesses;
  /** `process.kill`; throws a system error. */
  readonly kill: (pid: number, signal: NodeJS.Signals) => void;
}

export class ProcessGroup {
  readonly #leader: number;
  readonly #ports: GroupPorts;
  readonly #sessions: Set<number>;
  #leaderReaped = false;
  #ending: Promise<number> | undefined;

  /** @param leader a process that leads its session and group, as `spawn` with `detached` makes it */
  constructor(leader: number, ports: GroupPorts) {
    this.#leader = leader;
    this.#ports = ports;
    this.#sessions = new Set([leader]);
  }

  /** The leader was waited for: from now on its pid may be another process's. */
  leaderReaped(): void {
    this.#leaderReaped = true;
  }

  /**
   * TERM to all, KILL to what is left after `graceMs`. Resolves when nothing is left, or 10 s after KILL.
   * @returns how many processes there were at TERM. A second call joins the first.
   */
  end(graceMs: number): Promise<number> {
    this.#ending ??= this.#end(graceMs).catch((error: unknown) => {
      // The table could not be read: the next call tries again.
      this.#ending = undefined;
      throw error;
    });
    return this.#ending;
  }

  async #end(graceMs: number): Promise<number> {
    const members = await this.#members();
    if (members.length === 0) return 0;
    if (graceMs > 0) {
      this.#signal(members, 'SIGTERM');
      // A stopped process takes its TERM only when it goes on.
      this.#signal(members, 'SIGCONT');
    }
    const isGone = graceMs > 0 && (await this.#waitUntilGone(graceMs));
    if (!isGone) await this.#waitUntilGone(giveUpMs, 'SIGKILL');
    return members.length;
  }

  /** @returns whether nothing is left; false when `ms` passed first. `signal` goes to what each look still finds. */
  async #waitUntilGone(ms: number, signal?: NodeJS.Signals): Promise<boolean> {
    const { clock } = this.#ports;
    let isLate = false;
    let wake: () => void = () => undefined;
    const cancelLimit = clock.setTimer(ms, () => {
      isLate = true;
      wake();
    });
    try {
      for (let pollMs = firstPollMs; ; pollMs = Math.min(2 * pollMs, longestPollMs)) {
        const members = await this.#members();
        if (members.length === 0) return true;
        if (isLate) return false;
        if (signal !== undefined) this.#signal(members, signal);
        const { promise, resolve } = Promise.withResolvers<undefined>();
        wake = (): void => resolve(undefined);
        const cancelPoll = clock.setTimer(pollMs, wake);
        await promise;
        cancelPoll();
      }
    } finally {
      cancelLimit();
    }
  }

  async #members(): Promise<readonly ProcessEntry[]> {
    const wasReaped = this.#leaderReaped;
    const all = await this.#ports.readProcesses();
    // The kernel gives no pid away that still names a session or a group: whoever has the leader's, nothing of ours is in it.
    if (wasReaped && all.some((each) => each.pid === this.#leader)) this.#sessions.delete(this.#leader);
    const members = membersOf(all, this.#sessions);
    this.#sessions.clear();
    for (const member of members) this.#sessions.add(member.session);
    if (!wasReaped) this.#sessions.add(this.#leader);
    return members;
  }

  #signal(members: readonly ProcessEntry[], signal: NodeJS.Signals): void {
    // By group and not by pid, so that a fork in this very moment escapes nobody.
    for (const group of new Set(members.map((member) => member.group))) {
      // 0 and 1 would mean our own group and every process there is.
      if (group <= 1) continue;
      try {
        this.#ports.kill(-group, signal);
      } catch (error) {
        const code = error instanceof Error && 'code' in error ? error.code : undefined;
        // ESRCH: it ended meanwhile. EPERM: another user's; the next look still finds it.
        if (code !== 'ESRCH' && code !== 'EPERM') throw error;
      }
    }
  }
}

/** Who is in one of the sessions, with all descendants, and all in the sessions of those. */
export function membersOf(all: readonly ProcessEntry[], sessions: ReadonlySet<number>): ProcessEntry[] {
  const ours = new Set(sessions);
  const members = new Map<number, ProcessEntry>();
  for (let grew = true; grew; ) {
    grew = false;
    for (const each of all) {
      if (members.has(each.pid) || !(ours.has(each.session) || members.has(each.parent))) continue;
      members.set(each.pid, each);
      ours.add(each.session);
      grew = true;
    }
  }
  return [...members.values()];
}
