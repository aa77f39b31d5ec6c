/**
 * A whole tailnet on one machine, of real programs: headscale with its own relay, and a tailscaled in each of several network
 * namespaces. Needs root, Linux, and headscale, tailscale, tailscaled on PATH.
 */
import { execFile, spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { mkdirSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { noNamespaces } from './netns.ts';
import { findProgram, isThere, missing } from './programs.ts';
import { waitFor } from './wait-for.ts';

const run = promisify(execFile);

/** Why there can be no tailnet here; undefined when there can. */
export const noTailnet: string | undefined = noNamespaces ?? missing('headscale', 'tailscale', 'tailscaled');

export interface TailnetHost {
  readonly name: string;
  /** The socket of its tailscaled. */
  readonly socket: string;
  /** What to run a program through so that it is on this host. */
  readonly through: readonly string[];
}

export interface HostPlan {
  readonly name: string;
  readonly user: string;
  readonly tag?: string;
  readonly isUserspace?: boolean;
}

const program = (name: string): string => findProgram(name) ?? name;

export class RealTailnet implements AsyncDisposable {
  readonly #directory = mkdtempSync(join(tmpdir(), 'bkn-tn-'));
  readonly #unique = `bkn${process.pid.toString(36)}`;
  readonly #children: ChildProcess[] = [];
  readonly #hosts = new Map<string, TailnetHost>();
  readonly #users = new Map<string, string>();

  static async start(...plans: readonly HostPlan[]): Promise<RealTailnet> {
    const tailnet = new RealTailnet();
    try {
      await tailnet.#serve();
      for (const [index, plan] of plans.entries()) await tailnet.#add(plan, index + 11);
      return tailnet;
    } catch (error) {
      await tailnet[Symbol.asyncDispose]();
      throw error;
    }
  }

  host(name: string): TailnetHost {
    const found = this.#hosts.get(name);
    if (found === undefined) throw new Error(`no host ${name}`);
    return found;
  }

  /** Its `tailscale` program. */
  async tailscale(name: string, ...args: readonly string[]): Promise<string> {
    const { through, socket } = this.host(name);
    return (await on(through, program('tailscale'), `--socket=${socket}`, ...args)).stdout;
  }

  /** The policy of the tailnet, in force when it resolves; what machines know of it follows. */
  async setPolicy(policy: object): Promise<void> {
    const path = join(this.#directory, 'policy.json');
    writeFileSync(path, JSON.stringify(policy));
    await this.#headscale('policy', 'set', '--file', path);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const child of this.#children.toReversed()) child.kill();
    const running = this.#children.filter(({ exitCode, signalCode }) => exitCode === null && signalCode === null);
    await Promise.all(running.map((child) => new Promise((resolve) => child.once('exit', resolve))));
    for (const namespace of [...this.#hosts.keys(), 'hs'].map((name) => this.#namespace(name))) await run('ip', ['netns', 'delete', namespace]).catch((error: unknown) => error);
    rmSync(this.#directory, { recursive: true, force: true });
  }

  #namespace(name: string): string {
    return `${this.#unique}-${name}`;
  }

  #through(name: string): readonly string[] {
    return ['ip', 'netns', 'exec', this.#namespace(name)];
  }

  /** The coordination server, on a bridge of its own. */
  async #serve(): Promise<void> {
    const home = join(this.#directory, 'hs');
    mkdirSync(home);
    const namespace = this.#namespace('hs');
    await run('ip', ['netns', 'add', namespace]);
    for (const args of ['link set lo up', 'link add br0 type bridge', 'addr add 10.99.0.1/24 dev br0', 'link set br0 up']) await run('ip', ['-n', namespace, ...args.split(' ')]);
    writeFileSync(join(home, 'config.yaml'), configuration(home));
    this.#begin(home, [...this.#through('hs'), program('headscale'), '-c', join(home, 'config.yaml'), 'serve']);
    await waitFor('headscale', () => isThere(join(home, 'hs.sock')), { timeoutMs: 20_000, pollMs: 100 });
  }

  async #add({ name, user, tag, isUserspace = false }: HostPlan, last: number): Promise<void> {
    const home = join(this.#directory, name);
    mkdirSync(home);
    const [namespace, outside] = [this.#namespace(name), this.#namespace('hs')];
    const host = { name, socket: join(home, 'tailscaled.sock'), through: this.#through(name) };
    this.#hosts.set(name, host);
    await run('ip', ['netns', 'add', namespace]);
    await run('ip', ['-n', outside, 'link', 'add', `v${last}`, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', namespace]);
    await run('ip', ['-n', outside, 'link', 'set', `v${last}`, 'master', 'br0', 'up']);
    for (const args of ['link set lo up', `addr add 10.99.0.${last}/24 dev eth0`, 'link set eth0 up', 'route add default via 10.99.0.1']) await run('ip', ['-n', namespace, ...args.split(' ')]);
    const tun = isUserspace ? 'userspace-networking' : 'tailscale0';
    this.#begin(home, [...host.through, program('tailscaled'), `--tun=${tun}`, `--socket=${host.socket}`, `--statedir=${home}`, '--port=0', '--no-logs-no-support']);
    await waitFor(`tailscaled of ${name}`, () => isThere(host.socket), { timeoutMs: 20_000, pollMs: 100 });
    const flags = [`--login-server=http://10.99.0.1:8080`, `--authkey=${await this.#key(user, tag)}`, `--hostname=${name}`, '--accept-dns=false'];
    await this.tailscale(name, 'up', ...flags);
  }

  async #key(user: string, tag: string | undefined): Promise<string> {
    if (!this.#users.has(user)) {
      const { id } = JSON.parse(await this.#headscale('users', 'create', user, '-o', 'json')) as { id: string | number };
      this.#users.set(user, String(id));
    }
    const made = await this.#headscale('preauthkeys', 'create', '--user', this.#users.get(user) ?? '', '--reusable', ...(tag === undefined ? [] : ['--tags', tag]), '-o', 'json');
    return (JSON.parse(made) as { key: string }).key;
  }

  async #headscale(...args: readonly string[]): Promise<string> {
    return (await on(this.#through('hs'), program('headscale'), '-c', join(this.#directory, 'hs', 'config.yaml'), ...args)).stdout;
  }

  #begin(home: string, [command = '', ...args]: readonly string[]): void {
    const log = openSync(join(home, 'log'), 'a');
    const offline = { TS_DEBUG_USE_DERP_HTTP: 'true', TS_ASSUME_NETWORK_UP_FOR_TEST: '1', TS_DISABLE_PORTMAPPER: '1', TS_PANIC_IF_HIT_MAIN_CONTROL: '1' };
    this.#children.push(spawn(command, args, { stdio: ['ignore', log, log], env: { ...process.env, ...offline } }));
  }
}

function on(through: readonly string[], ...command: readonly string[]): Promise<{ readonly stdout: string }> {
  const [first = '', ...rest] = [...through, ...command];
  return run(first, rest, { timeout: 30_000 });
}

function configuration(home: string): string {
  return `
server_url: http://10.99.0.1:8080
listen_addr: 10.99.0.1:8080
metrics_listen_addr: 127.0.0.1:9090
noise: { private_key_path: ${home}/noise.key }
prefixes: { v4: 100.64.0.0/10, v6: fd7a:115c:a1e0::/48, allocation: sequential }
derp:
  server:
    enabled: true
    region_id: 999
    region_code: hs
    region_name: hs
    verify_clients: true
    stun_listen_addr: 0.0.0.0:3478
    private_key_path: ${home}/derp.key
    automatically_add_embedded_derp_region: true
    ipv4: 10.99.0.1
  urls: []
  paths: []
  auto_update_enabled: false
disable_check_updates: true
database: { type: sqlite, sqlite: { path: ${home}/db.sqlite, write_ahead_log: true } }
policy: { mode: database }
dns: { magic_dns: true, base_domain: tn.test, override_local_dns: false, nameservers: { global: [] } }
unix_socket: ${home}/hs.sock
unix_socket_permission: "0770"
logtail: { enabled: false }
log: { level: info, format: text }
`;
}
