/** systemd, by its own programs. */
import { join } from 'node:path';
import { unavailable } from '../domain/errors.ts';
import type { Launch, Scope, Supervised, SupervisedState, Supervisor } from '../domain/supervision-port.ts';
import type { Ran, Run } from './run.ts';
import { stateDirOfUnit, systemdUnit } from './systemd-unit.ts';

export const unitName = 'beckon.service';

/** Longer than the unit's own limit. */
const stopMs = 120_000;
const mostLines = 40;

export interface SystemdParts {
  readonly scope: Scope;
  readonly run: Run;
  readonly uid: number;
  /** Of units: /etc/systemd/system, ~/.config/systemd/user. */
  readonly unitDirectory: string;
  readonly environmentPath: string;
  /** As this process has it; a shell without a session (su, cron) has none. */
  readonly runtimeDirectory: string | undefined;
  readonly exists: (path: string) => boolean;
}

export class Systemd implements Supervisor {
  readonly kind = 'systemd';
  readonly scope: Scope;
  readonly entryPath: string;
  readonly environmentPath: string;
  readonly #parts: SystemdParts;

  constructor(parts: SystemdParts) {
    this.#parts = parts;
    this.scope = parts.scope;
    this.entryPath = join(parts.unitDirectory, unitName);
    this.environmentPath = parts.environmentPath;
  }

  render(launch: Launch): string {
    return systemdUnit(launch, this);
  }

  stateDirOf(entry: string): string | undefined {
    return stateDirOfUnit(entry);
  }

  async enable(): Promise<void> {
    await this.#must('daemon-reload');
    await this.#must('enable', unitName);
  }

  async start(): Promise<void> {
    // What failed before does not count against this start; a unit that never ran can't be reset.
    await this.#systemctl(['reset-failed', unitName]);
    await this.#must('start', unitName);
  }

  async stop(): Promise<void> {
    await this.#must('stop', unitName);
  }

  async disable(): Promise<void> {
    await this.#must('disable', unitName);
  }

  async forget(): Promise<void> {
    await this.#must('daemon-reload');
    await this.#systemctl(['reset-failed', unitName]);
  }

  async look(): Promise<Supervised> {
    const ran = await this.#systemctl(['show', unitName, '--property=ActiveState,SubState,UnitFileState,MainPID,Result,ExecMainStatus']);
    if (ran.code !== 0) return { state: 'unknown', isEnabled: false, why: wordsOf(ran) };
    const shown = properties(ran.stdout);
    const pid = Number(shown['MainPID'] ?? 0);
    const state = stateOf(shown);
    return {
      state,
      isEnabled: shown['UnitFileState'] === 'enabled',
      ...(pid > 0 ? { pid } : {}),
      ...(state === 'failed' || state === 'retrying' ? { why: failureOf(shown) } : {}),
    };
  }

  async lastWords(): Promise<readonly string[]> {
    const id = properties((await this.#systemctl(['show', unitName, '--property=InvocationID'])).stdout)['InvocationID'] ?? '';
    if (id === '') return [];
    const field = this.scope === 'user' ? 'USER_INVOCATION_ID' : '_SYSTEMD_INVOCATION_ID';
    const which = this.scope === 'user' ? ['--user', `--user-unit=${unitName}`] : [`--unit=${unitName}`];
    const ran = await this.#run('journalctl', [...which, '--no-pager', '--quiet', '--output=json', '--output-fields=MESSAGE,_SYSTEMD_INVOCATION_ID,USER_INVOCATION_ID,_COMM', `--lines=${mostLines}`]);
    return ran.stdout.split('\n').flatMap((line) => messageOf(line, id, field));
  }

  /** The file is what loginctl(1) keeps, readable by all. */
  async outlivesLogout(user: string): Promise<boolean | undefined> {
    if (this.scope === 'system') return undefined;
    const { code, stdout } = await this.#run('loginctl', ['show-user', user, '--property=Linger']);
    return code === 0 ? properties(stdout)['Linger'] === 'yes' : this.#parts.exists(join('/var/lib/systemd/linger', user));
  }

  async #must(...args: readonly string[]): Promise<void> {
    const ran = await this.#systemctl(args);
    if (ran.code === 0) return;
    throw unavailable(`systemctl ${this.scope === 'user' ? '--user ' : ''}${args.join(' ')} failed: ${wordsOf(ran)}`, hintFor(ran, this.scope));
  }

  #systemctl(args: readonly string[]): Promise<Ran> {
    return this.#run('systemctl', [...(this.scope === 'user' ? ['--user'] : []), ...args], args[0] === 'stop' ? stopMs : undefined);
  }

  #run(program: string, args: readonly string[], timeoutMs?: number): Promise<Ran> {
    const { runtimeDirectory, uid, exists } = this.#parts;
    const usual = `/run/user/${uid}`;
    const env = runtimeDirectory === undefined && this.scope === 'user' && exists(usual) ? { XDG_RUNTIME_DIR: usual } : {};
    return this.#parts.run(program, args, { env, ...(timeoutMs === undefined ? {} : { timeoutMs }) });
  }
}

function properties(text: string): Readonly<Record<string, string>> {
  return Object.fromEntries(
    text
      .split('\n')
      .filter((line) => line.includes('='))
      .map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
  );
}

function stateOf({ ActiveState: active = '', SubState: sub = '' }: Readonly<Record<string, string>>): SupervisedState {
  if (sub.startsWith('auto-restart')) return 'retrying';
  switch (active) {
    case 'active':
    case 'reloading':
      return 'running';
    case 'activating':
      return 'starting';
    case 'deactivating':
      return 'stopping';
    case 'failed':
      return 'failed';
    case 'inactive':
      return 'stopped';
    default:
      return 'unknown';
  }
}

function failureOf({ Result: result = '', ExecMainStatus: status = '' }: Readonly<Record<string, string>>): string {
  return result === 'exit-code' ? `it exited with ${status}` : `systemd calls it ${result}`;
}

function wordsOf({ stdout, stderr }: Ran): string {
  return (stderr.trim() || stdout.trim() || 'it said nothing').split('\n', 1)[0] ?? '';
}

function hintFor({ stderr, code }: Ran, scope: Scope): string {
  if (/not been booted with systemd/.test(stderr)) return 'systemd does not run this machine: have what does start beckon up; --dry-run shows how';
  if (/Failed to connect to (user scope )?bus|DBUS_SESSION_BUS_ADDRESS/.test(stderr)) return 'log in as this user (ssh, or machinectl shell), not by su or sudo; or install it for the machine: --system';
  if (scope === 'system' && /[Aa]uthentication|[Aa]ccess denied/.test(stderr)) return 'give it by sudo';
  return code === undefined ? 'is systemd installed?' : `systemctl ${scope === 'user' ? '--user ' : ''}status ${unitName} says more`;
}

/** Of that invocation and of the node itself, not of systemd about it. */
function messageOf(line: string, invocation: string, field: string): readonly string[] {
  if (line === '') return [];
  const entry = JSON.parse(line) as Record<string, unknown>;
  const { MESSAGE: message, _COMM: program } = entry;
  const isOfIt = entry['_SYSTEMD_INVOCATION_ID'] === invocation || entry[field] === invocation;
  return isOfIt && typeof message === 'string' && program !== 'systemd' ? [message] : [];
}
