/**
 * A container of an image that buildah has, as a runtime would run it: namespaces of its own, a root file system that is
 * read-only, the image's user without capabilities, its entry point as the first process, one directory as its volume.
 */
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { chownSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import type { Json } from './cli.ts';
import { missing, notLinux, notRoot } from './programs.ts';

export const noContainers: string | undefined = notLinux ?? notRoot ?? missing('buildah', 'unshare', 'nsenter', 'ip');

const setUp = `
mount --make-rprivate /
mount --bind "$1" "$1"
mount -t proc proc "$1/proc"
mount --rbind /dev "$1/dev"
mount --bind "$2" "$1/data"
mount -o remount,ro,bind "$1"
root=$1
shift 2
exec chroot "$root" "$@"
`;

export class Image implements Disposable {
  readonly root: string;
  readonly config: { readonly env: readonly string[]; readonly entrypoint: readonly string[]; readonly command: readonly string[]; readonly user: string; readonly stopSignal: NodeJS.Signals; readonly healthcheck: readonly string[] };
  readonly #working: string;

  /** @throws when there is no such image */
  constructor(name: string) {
    this.#working = buildah('from', '--pull-never', name);
    this.root = buildah('mount', this.#working);
    const { config, healthcheck } = (JSON.parse(buildah('inspect', '--type', 'image', name)) as { Docker: { config: Record<string, any>; healthcheck?: never } }).Docker as any;
    this.config = {
      env: config['Env'],
      entrypoint: config['Entrypoint'],
      command: config['Cmd'],
      user: config['User'],
      stopSignal: config['StopSignal'] ?? 'SIGTERM',
      healthcheck: (healthcheck ?? config['Healthcheck'])['Test'].slice(1),
    };
  }

  [Symbol.dispose](): void {
    buildah('rm', this.#working);
  }
}

function buildah(...args: readonly string[]): string {
  return execFileSync('buildah', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }).trim();
}

export interface ContainerOptions {
  readonly hostname: string;
  /** On the machine; the volume. */
  readonly data: string;
  /** Of iproute2. */
  readonly network: string;
  /** In place of the image's command. */
  readonly command?: readonly string[];
}

export class Container {
  readonly #image: Image;
  readonly #options: ContainerOptions;
  readonly #process: ChildProcess;
  readonly ended: Promise<number | null>;
  output = '';

  constructor(image: Image, options: ContainerOptions) {
    this.#image = image;
    this.#options = options;
    const { data, network, hostname, command = image.config.command } = options;
    if (!existsSync(data)) mkdirSync(data, { mode: 0o700 });
    const [uid, gid] = this.#ids();
    chownSync(data, uid, gid);
    const inside = [...this.#asUser(), ...image.config.entrypoint, ...command];
    const words = ['netns', 'exec', network, 'unshare', '--fork', '--pid', '--mount', '--ipc', '--uts', '--cgroup', '--kill-child=KILL', '--mount-proc', 'sh', '-ec', `hostname ${hostname}\n${setUp}`, 'sh', image.root, data, ...inside];
    this.#process = spawn('ip', words, { stdio: ['ignore', 'pipe', 'pipe'], cwd: '/' });
    for (const stream of [this.#process.stdout, this.#process.stderr]) stream?.on('data', (chunk: Buffer) => (this.output += chunk.toString()));
    this.ended = new Promise((resolve) => this.#process.once('exit', (code) => resolve(code)));
  }

  exec(...words: readonly string[]): { readonly code: number | null; readonly stdout: string; readonly stderr: string } {
    const { status, stdout, stderr } = spawnSync('nsenter', ['--target', String(this.#first()), '--mount', '--pid', '--uts', '--ipc', '--cgroup', '--net', 'chroot', this.#image.root, ...this.#asUser(), ...words], { encoding: 'utf8', cwd: '/', timeout: 60_000 });
    return { code: status, stdout, stderr };
  }

  json(...words: readonly string[]): Json {
    const { code, stdout, stderr } = this.exec('beckon', ...words, '--json');
    if (code !== 0) throw new Error(`beckon ${words.join(' ')} in ${this.#options.hostname} exited with ${code}: ${stdout.slice(0, 1000)} ${stderr.slice(0, 1000)}`);
    return JSON.parse(stdout) as Json;
  }

  get health(): number | null {
    return this.exec(...this.#image.config.healthcheck).code;
  }

  /** As `docker stop` begins. Resolves with the exit code of its first process. */
  async stop(): Promise<number | null> {
    process.kill(this.#first(), this.#image.config.stopSignal);
    return await this.ended;
  }

  async kill(): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    // Not `unshare`: what has become another user since is not killed with it.
    process.kill(this.#first(), 'SIGKILL');
    await this.ended;
  }

  #asUser(): string[] {
    const [uid, gid] = this.#ids();
    return ['setpriv', `--reuid=${uid}`, `--regid=${gid}`, '--clear-groups', '--no-new-privs', '--bounding-set=-all', '--inh-caps=-all', 'env', '-i', '--chdir=/data', ...this.#image.config.env];
  }

  #ids(): [number, number] {
    const { user } = this.#image.config;
    const [, , uid, gid] = readFileSync(`${this.#image.root}/etc/passwd`, 'utf8').split('\n').find((line) => line.startsWith(`${user}:`))?.split(':') ?? [];
    if (uid === undefined || gid === undefined || uid === '0') throw new Error(`the image runs as ${user}`);
    return [Number(uid), Number(gid)];
  }

  /** `ip` and `unshare` have become one process, whose child is the first in there. */
  #first(): number {
    const { pid = 0 } = this.#process;
    return Number(readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ')[0]);
  }
}
