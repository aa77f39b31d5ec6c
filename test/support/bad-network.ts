/** Faults of a whole network of hosts, on the way to each of them: packets that get lost, groups that are apart, a port that is closed. */
import { execFileSync } from 'node:child_process';
import type { Lan } from './lan.ts';
import type { Host } from './netns.ts';

const kinds = ['loss', 'split', 'closed'] as const;

export class BadNetwork {
  readonly #hosts: readonly Host[];

  constructor({ hosts }: Lan) {
    this.#hosts = hosts;
    for (const host of hosts) {
      nft(host, 'add table inet weather');
      // At the receiver, so that the sender does not learn of it, as it would of its own refusal.
      for (const kind of kinds) nft(host, `add chain inet weather ${kind} { type filter hook input priority 0; }`);
    }
  }

  /** So many of a hundred packets never arrive, from and to everybody, by chance. */
  lose(percent: number): void {
    for (const host of this.#hosts) nft(host, `add rule inet weather loss iifname eth0 numgen random mod 100 < ${percent} drop`);
  }

  /** Nothing gets from one side to the other. */
  part(...sides: readonly [readonly Host[], readonly Host[]]): void {
    for (const [here, there] of [sides, [sides[1], sides[0]]] as const) {
      for (const host of here) for (const { address } of there) nft(host, `add rule inet weather split ip saddr ${address} drop`);
    }
  }

  /** The sides hear each other again. */
  join(): void {
    for (const host of this.#hosts) nft(host, 'flush chain inet weather split');
  }

  /** Nothing gets to that TCP port of any host. */
  close(port: number): void {
    for (const host of this.#hosts) nft(host, `add rule inet weather closed iifname eth0 tcp dport ${port} drop`);
  }
}

function nft({ through }: Host, rule: string): void {
  const [program, ...args] = through;
  if (program !== undefined) execFileSync(program, [...args, 'nft', rule], { stdio: ['ignore', 'ignore', 'pipe'] });
}
