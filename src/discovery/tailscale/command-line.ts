/** The `tailscale` program, for where its daemon can't be asked directly. It answers the same JSON. */
import { execFile } from 'node:child_process';
import { BrokerError, unavailable } from '../../domain/errors.ts';
import { formatHostPort } from '../../domain/host-port.ts';
import type { HostPort } from '../../domain/host-port.ts';
import type { TailnetIdentity, TailnetStatus } from '../../domain/tailnet.ts';
import { quoted } from '../../domain/text.ts';
import { notRunning } from './local-api.ts';
import { decodeStatus } from './status.ts';
import { decodeWhoIs } from './whois.ts';

export interface CommandLineOptions {
  /** Names looked up in `searchPath`, or absolute paths; the first that is there is used. */
  readonly programs?: readonly string[];
  readonly searchPath: string;
  /** Of the daemon, when it is not at its usual place. */
  readonly socket?: string;
  readonly timeoutMs?: number;
  readonly mostBytes?: number;
}

export const usualPrograms = ['tailscale', '/Applications/Tailscale.app/Contents/MacOS/Tailscale'] as const;

export class TailscaleCommand {
  readonly #options: CommandLineOptions;

  constructor(options: CommandLineOptions) {
    this.#options = options;
  }

  /** @throws BrokerError `unavailable` */
  async status({ peers = true, signal }: { readonly peers?: boolean; readonly signal?: AbortSignal } = {}): Promise<TailnetStatus> {
    const { stdout } = await this.#run(['status', '--json', ...(peers ? [] : ['--peers=false'])], signal);
    // It exits with 1 for a tailnet that is not up, and answers all the same.
    return decodeStatus(stdout);
  }

  /** As `LocalApi.whois`. @throws BrokerError `unavailable`, also when the tailnet is not up */
  async whois(remote: HostPort, signal?: AbortSignal): Promise<TailnetIdentity | undefined> {
    const { state, dnsSuffix } = await this.status({ peers: false, ...(signal === undefined ? {} : { signal }) });
    if (state !== 'Running') throw notRunning(state);
    const { code, stdout, stderr } = await this.#run(['whois', '--json', '--proto=tcp', formatHostPort(remote)], signal);
    if (code === 0) return decodeWhoIs(stdout, dnsSuffix);
    if (/not found|no match/i.test(stderr)) return undefined;
    throw unavailable(`tailscale whois failed: ${quoted(stderr.trim(), 200)}`);
  }

  async #run(args: readonly string[], signal: AbortSignal | undefined): Promise<Ran> {
    const { programs = usualPrograms, socket } = this.#options;
    const all = [...(socket === undefined ? [] : [`--socket=${socket}`]), ...args];
    for (const program of programs) {
      const ran = await this.#try(program, all, signal);
      if (ran !== undefined) return ran;
    }
    throw unavailable(`there is no program ${programs.join(' or ')}`, 'install Tailscale, or go without: beckon up --tailscale off');
  }

  /** @returns undefined when there is no such program */
  #try(program: string, args: readonly string[], signal: AbortSignal | undefined): Promise<Ran | undefined> {
    const { searchPath, timeoutMs = 5_000, mostBytes = 32 * 1024 * 1024 } = this.#options;
    return new Promise((resolve, reject) => {
      const options = { timeout: timeoutMs, maxBuffer: mostBytes, killSignal: 'SIGKILL', env: { PATH: searchPath, LC_ALL: 'C' }, ...(signal === undefined ? {} : { signal }) } as const;
      execFile(program, [...args], options, (error, stdout, stderr) => {
        if (error === null) return resolve({ code: 0, stdout, stderr });
        if (error.code === 'ENOENT') return resolve(undefined);
        if (typeof error.code === 'number') return resolve({ code: error.code, stdout, stderr });
        const why = error.killed === true ? `did not end within ${timeoutMs / 1000} s` : 'could not be run';
        reject(new BrokerError('unavailable', `${program} ${args[0] ?? ''} ${why}`, { cause: error }));
      });
    });
  }
}

interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}
