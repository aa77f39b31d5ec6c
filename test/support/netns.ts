/** Machines of their own as far as the network goes: Linux network namespaces, joined by a cable that can be pulled. */
import { execFileSync } from 'node:child_process';
import { missing, notLinux, notRoot } from './programs.ts';

/** Why there can be no namespaces here; undefined when there can. */
export const noNamespaces: string | undefined =
  notLinux ?? notRoot ?? missing('ip') ?? (canMake() ? undefined : 'namespaces are not allowed here');

export interface Host {
  readonly namespace: string;
  readonly address: string;
  /** What to run a program through so that it is on this host. */
  readonly through: readonly string[];
}

export interface Cable extends Disposable {
  readonly left: Host;
  readonly right: Host;
  pull(): void;
  plug(): void;
}

/** Two hosts and a veth pair between them; gone with the disposal. */
export function connectTwoHosts(): Cable {
  const unique = `bkn${process.pid.toString(36)}${Math.floor(Math.random() * 1296).toString(36)}`;
  const [left, right] = [hostOf(`${unique}l`, '10.77.31.1'), hostOf(`${unique}r`, '10.77.31.2')];
  const remove = (): void => {
    for (const { namespace } of [left, right]) if (list().includes(namespace)) ip('netns', 'delete', namespace);
  };
  try {
    for (const { namespace } of [left, right]) {
      ip('netns', 'add', namespace);
      ip('-n', namespace, 'link', 'set', 'lo', 'up');
    }
    ip('-n', left.namespace, 'link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', right.namespace);
    for (const { namespace, address } of [left, right]) {
      ip('-n', namespace, 'address', 'add', `${address}/24`, 'dev', 'eth0');
      ip('-n', namespace, 'link', 'set', 'eth0', 'up');
    }
  } catch (error) {
    remove();
    throw error;
  }
  const set = (state: 'up' | 'down'): void => ip('-n', left.namespace, 'link', 'set', 'eth0', state);
  return { left, right, pull: () => set('down'), plug: () => set('up'), [Symbol.dispose]: remove };
}

function hostOf(namespace: string, address: string): Host {
  return { namespace, address, through: ['ip', 'netns', 'exec', namespace] };
}

function list(): readonly string[] {
  return execFileSync('ip', ['netns', 'list'], { encoding: 'utf8' }).split('\n').map((line) => line.split(' ')[0] ?? '');
}

function ip(...args: readonly string[]): void {
  execFileSync('ip', args, { stdio: ['ignore', 'ignore', 'pipe'] });
}

function canMake(): boolean {
  const name = `bkn-probe-${process.pid}`;
  try {
    ip('netns', 'add', name);
    ip('netns', 'delete', name);
    return true;
  } catch (error) {
    if (error instanceof Error) return false;
    throw error;
  }
}
