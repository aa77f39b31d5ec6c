/** Hosts of their own on one network: a namespace each, cables to one bridge that can be pulled, packets that get lost one way. */
import { execFileSync } from 'node:child_process';
import type { Host } from './netns.ts';
import { noNamespaces } from './netns.ts';
import { missing } from './programs.ts';

/** Why there can be no such network here; undefined when there can. */
export const noLan: string | undefined = noNamespaces ?? missing('nft');

export interface Lan extends Disposable {
  readonly hosts: readonly Host[];
  pull(host: Host): void;
  plug(host: Host): void;
  /** From now on what `from` sends to these is lost, and nothing else: all of it, or only what begins a connection. */
  lose(from: Host, to: readonly Host[], what: 'all' | 'new connections'): void;
  /** What `from` sends arrives again. */
  heal(from: Host): void;
}

/** Gone with the disposal, whatever still runs there. */
export function connectHosts(count: number): Lan {
  const unique = `bkn${process.pid.toString(36)}${Math.floor(Math.random() * 1296).toString(36)}`;
  const bridge = `${unique}b`;
  const hosts = Array.from({ length: count }, (_, index): Host => {
    const namespace = `${unique}${index}`;
    return { namespace, address: `10.77.32.${index + 1}`, through: ['ip', 'netns', 'exec', namespace] };
  });
  const remove = (): void => {
    const all = new Set(run('ip', 'netns', 'list').split('\n').map((line) => line.split(' ')[0]));
    for (const namespace of [...hosts.map((host) => host.namespace), bridge]) if (all.has(namespace)) run('ip', 'netns', 'delete', namespace);
  };
  const set = ({ address }: Host, state: 'up' | 'down'): void => void run('ip', '-n', bridge, 'link', 'set', portOf(address), state);
  const nft = ({ namespace }: Host, rule: string): void => void run('ip', 'netns', 'exec', namespace, 'nft', rule);
  try {
    run('ip', 'netns', 'add', bridge);
    run('ip', '-n', bridge, 'link', 'add', 'br0', 'type', 'bridge');
    run('ip', '-n', bridge, 'link', 'set', 'br0', 'up');
    for (const host of hosts) {
      const { namespace, address } = host;
      run('ip', 'netns', 'add', namespace);
      run('ip', '-n', namespace, 'link', 'set', 'lo', 'up');
      run('ip', '-n', namespace, 'link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', portOf(address), 'netns', bridge);
      run('ip', '-n', namespace, 'address', 'add', `${address}/24`, 'dev', 'eth0');
      run('ip', '-n', namespace, 'link', 'set', 'eth0', 'up');
      run('ip', '-n', bridge, 'link', 'set', portOf(address), 'master', 'br0');
      set(host, 'up');
      nft(host, 'add table inet faults');
      nft(host, 'add chain inet faults out { type filter hook output priority 0; }');
    }
  } catch (error) {
    remove();
    throw error;
  }
  return {
    hosts,
    pull: (host) => set(host, 'down'),
    plug: (host) => set(host, 'up'),
    // One transaction: nothing gets through between what was lost and what is.
    lose: (from, to, what) => nft(from, ['flush chain inet faults out', ...to.map(({ address }) => `add rule inet faults out ip daddr ${address}${what === 'all' ? '' : ' tcp flags syn / syn,ack'} drop`)].join('; ')),
    heal: (from) => nft(from, 'flush chain inet faults out'),
    [Symbol.dispose]: remove,
  };
}

function portOf(address: string): string {
  return `port${address.slice(address.lastIndexOf('.') + 1)}`;
}

function run(program: string, ...args: readonly string[]): string {
  return execFileSync(program, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}
