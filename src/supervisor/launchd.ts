/** launchd, by launchctl(1): an agent of one user, in the domain of their graphical login. */
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { unavailable } from '../domain/errors.ts';
import type { Launch, Supervised, Supervisor } from '../domain/supervision-port.ts';
import { label, launchdPlist, stateDirOfPlist } from './launchd-plist.ts';
import type { Ran, Run } from './run.ts';

const stopMs = 120_000;
const mostLines = 20;
const mostBytes = 64 * 1024;

export interface LaunchdParts {
  readonly run: Run;
  readonly uid: number;
  /** ~/Library/LaunchAgents */
  readonly agentsDirectory: string;
  readonly environmentPath: string;
  readonly logDir: string;
}

export class Launchd implements Supervisor {
  readonly kind = 'launchd';
  readonly scope = 'user';
  readonly entryPath: string;
  readonly environmentPath: string;
  readonly #parts: LaunchdParts;
  readonly #domain: string;
  readonly #target: string;

  constructor(parts: LaunchdParts) {
    this.#parts = parts;
    this.entryPath = join(parts.agentsDirectory, `${label}.plist`);
    this.environmentPath = parts.environmentPath;
    this.#domain = `gui/${parts.uid}`;
    this.#target = `${this.#domain}/${label}`;
  }

  render(launch: Launch): string {
    return launchdPlist(launch, this.environmentPath);
  }

  stateDirOf(entry: string): string | undefined {
    return stateDirOfPlist(entry);
  }

  async enable(): Promise<void> {
    await this.#must('enable', this.#target);
  }

  /** An agent that is loaded keeps the property list of then: it is loaded anew. */
  async start(): Promise<void> {
    if ((await this.look()).pid !== undefined) return;
    if (await this.#isLoaded()) await this.#must('bootout', this.#target);
    await this.#must('bootstrap', this.#domain, this.entryPath);
  }

  async stop(): Promise<void> {
    if (await this.#isLoaded()) await this.#must('bootout', this.#target);
  }

  async disable(): Promise<void> {
    await this.#must('disable', this.#target);
  }

  forget(): Promise<void> {
    return Promise.resolve();
  }

  async look(): Promise<Supervised> {
    const disabled = await this.#launchctl('print-disabled', this.#domain);
    const isEnabled = !new RegExp(`"${label}" => (true|disabled)`).test(disabled.stdout);
    const { code, stdout } = await this.#launchctl('print', this.#target);
    if (code !== 0) return { state: 'stopped', isEnabled };
    const pid = /^\s*pid = (\d+)$/m.exec(stdout)?.[1];
    if (pid !== undefined) return { state: 'running', isEnabled, pid: Number(pid) };
    const last = /^\s*last exit code = (\d+)/m.exec(stdout)?.[1];
    return last === undefined || last === '0' ? { state: 'stopped', isEnabled } : { state: 'retrying', isEnabled, why: `it exited with ${last}` };
  }

  /** launchd rotates nothing: of what may have grown for years only the end is read. */
  async lastWords(): Promise<readonly string[]> {
    try {
      await using file = await open(join(this.#parts.logDir, 'launchd.log'), constants.O_RDONLY | constants.O_NONBLOCK);
      const { size } = await file.stat();
      const from = Math.max(0, size - mostBytes);
      const { buffer, bytesRead } = await file.read(Buffer.alloc(mostBytes), 0, mostBytes, from);
      const lines = buffer.toString('utf8', 0, bytesRead).split('\n');
      return lines.slice(from > 0 ? 1 : 0).filter((line) => line !== '').slice(-mostLines);
    } catch (error) {
      if (error instanceof Error && 'code' in error) return [];
      throw error;
    }
  }

  /** An agent runs from login to logout; nobody is asked. */
  outlivesLogout(): Promise<undefined> {
    return Promise.resolve(undefined);
  }

  async #isLoaded(): Promise<boolean> {
    return (await this.#launchctl('print', this.#target)).code === 0;
  }

  async #must(...args: readonly string[]): Promise<void> {
    const { code, stderr, stdout } = await this.#launchctl(...args);
    if (code !== 0) throw unavailable(`launchctl ${args.join(' ')} failed: ${(stderr.trim() || stdout.trim() || 'it said nothing').split('\n', 1)[0]}`, `launchctl print ${this.#target} says more`);
  }

  #launchctl(...args: readonly string[]): Promise<Ran> {
    return this.#parts.run('launchctl', args, { timeoutMs: stopMs });
  }
}
