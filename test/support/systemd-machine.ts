/**
 * A Debian with systemd as its first process, in namespaces of this machine: units are installed, killed, restarted and
 * survive a reboot for real. This checkout is at /opt/beckon there, read-only, and `beckon` is on PATH.
 */
import { spawn, spawnSync } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Json } from './cli.ts';
import { findProgram, missing, notLinux, notRoot } from './programs.ts';
import { waitFor } from './wait-for.ts';

export const noSystemd: string | undefined = notLinux ?? notRoot ?? missing('debootstrap', 'unshare', 'nsenter', 'setpriv');

const checkout = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '');
const packages = 'systemd,systemd-sysv,dbus,dbus-user-session,libpam-systemd,sudo,procps,iproute2';

/** In namespaces of its own; the mounts go with them. */
const boot = `
mount --make-rprivate /
mount --bind "$1" "$1"
mount -t proc proc "$1/proc"
mount -t tmpfs -o mode=755 tmpfs "$1/run"
mount -t tmpfs -o mode=1777 tmpfs "$1/tmp"
mount --rbind /sys "$1/sys"
mount --rbind /dev "$1/dev"
mount --bind "$2" "$1/opt/beckon"
mount -o remount,ro,bind "$1/opt/beckon"
exec chroot "$1" env -i container=other PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd --system systemd.unit=multi-user.target
`;

export interface Said {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export class SystemdMachine implements AsyncDisposable {
  readonly root: string;
  #init: ChildProcess | undefined;

  private constructor(root: string) {
    this.root = root;
  }

  /** Half a minute on a machine with nothing else to do, and 250 MB. @throws when Debian's packages can't be had */
  static async create(): Promise<SystemdMachine> {
    const directory = mkdtempSync(join(tmpdir(), 'beckon-systemd-'));
    try {
      const machine = new SystemdMachine(join(directory, 'root'));
      await debootstrap(machine.root);
      mkdirSync(join(machine.root, 'opt/beckon'));
      symlinkSync('/opt/beckon/scripts/beckon', join(machine.root, 'usr/local/bin/beckon'));
      writeFileSync(join(machine.root, 'etc/hostname'), 'tester\n');
      spawnSync('chroot', [machine.root, 'useradd', '--create-home', '--shell', '/bin/bash', 'ada']);
      writeFileSync(join(machine.root, 'etc/sudoers.d/ada'), 'ada ALL=(ALL) NOPASSWD: ALL\n', { mode: 0o440 });
      return machine;
    } catch (error) {
      rmSync(directory, { recursive: true, force: true });
      throw error;
    }
  }

  async boot(): Promise<void> {
    const init = spawn('unshare', ['--fork', '--pid', '--mount', '--ipc', '--uts', '--cgroup', '--net', '--kill-child=KILL', '--mount-proc', 'sh', '-ec', boot, 'sh', this.root, checkout], { stdio: 'ignore', detached: true });
    this.#init = init;
    await waitFor('systemd to be up', () => (init.exitCode === null ? /^(running|degraded)/.test(this.asRoot('systemctl', 'is-system-running').stdout) : Promise.reject(new Error(`it ended with ${init.exitCode}`))), { timeoutMs: 30_000, pollMs: 200 });
  }

  /** In order, as the machine's own `reboot` does: what runs is stopped first. */
  async reboot(): Promise<void> {
    const init = this.#init;
    const ended = new Promise((resolve) => init?.once('exit', resolve));
    this.asRoot('systemctl', 'reboot');
    await ended;
    await this.boot();
  }

  /** The file as the machine has it, not seen through its own mounts. */
  read(path: string): string {
    return readFileSync(join(this.root, path), 'utf8');
  }

  asRoot(...words: readonly string[]): Said {
    return this.#run(['env', '-i', 'HOME=/root', 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', 'TERM=dumb', ...words]);
  }

  /** As she has it in a shell of hers. */
  asAda(words: readonly string[], env: Readonly<Record<string, string>> = {}): Said {
    const shell = { HOME: '/home/ada', USER: 'ada', LOGNAME: 'ada', SHELL: '/bin/bash', LANG: 'C.UTF-8', PATH: '/home/ada/bin:/usr/local/bin:/usr/bin:/bin', XDG_RUNTIME_DIR: '/run/user/1000', ...env };
    return this.#run(['setpriv', '--reuid=ada', '--regid=ada', '--init-groups', 'env', '-i', ...Object.entries(shell).map(([name, value]) => `${name}=${value}`), ...words]);
  }

  /** @throws unless it exits 0 */
  beckon(words: readonly string[], env?: Readonly<Record<string, string>>): string {
    const { code, stdout, stderr } = this.asAda(['beckon', ...words], env);
    if (code !== 0) throw new Error(`beckon ${words.join(' ')} exited with ${code}: ${stdout.slice(0, 1000)} ${stderr.slice(0, 1000)}`);
    return stdout;
  }

  json(words: readonly string[], env?: Readonly<Record<string, string>>): Json {
    return JSON.parse(this.beckon([...words, '--json'], env)) as Json;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const init = this.#init;
    if (init?.pid !== undefined && init.exitCode === null && init.signalCode === null) {
      const ended = new Promise((resolve) => init.once('exit', resolve));
      // Its child, the first process in there, takes all others along.
      init.kill('SIGKILL');
      await ended;
    }
    rmSync(join(this.root, '..'), { recursive: true, force: true, maxRetries: 5 });
  }

  #run(words: readonly string[]): Said {
    const pid = this.#firstProcess();
    const { status, stdout, stderr } = spawnSync('nsenter', ['--target', String(pid), '--mount', '--pid', '--uts', '--ipc', '--cgroup', '--net', 'chroot', this.root, ...words], { encoding: 'utf8', cwd: '/', timeout: 120_000 });
    return { code: status, stdout, stderr };
  }

  #firstProcess(): number {
    const parent = this.#init?.pid ?? 0;
    const children = readFileSync(`/proc/${parent}/task/${parent}/children`, 'utf8').trim();
    return Number(children.split(' ')[0]);
  }
}

function debootstrap(root: string): Promise<void> {
  const faster = findProgram('eatmydata');
  const [program, ...args] = [...(faster === undefined ? [] : [faster]), findProgram('debootstrap') ?? '', '--variant=minbase', `--include=${packages}`, 'bookworm', root];
  const making = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, PATH: `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin` } });
  let said = '';
  for (const stream of [making.stdout, making.stderr]) stream.on('data', (chunk: Buffer) => (said = (said + chunk.toString()).slice(-1000)));
  return new Promise((resolve, reject) => {
    making.once('error', reject);
    making.once('exit', (code) => (code === 0 ? resolve() : reject(new Error(`debootstrap exited with ${code}: ${said}`))));
  });
}
