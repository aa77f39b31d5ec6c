/** Machines of the tailnet as candidates: those that may run a node, and that the filter lets through. */
import { toBrokerError } from '../../domain/errors.ts';
import type { Candidate, DiscoverySource } from '../../domain/discovery-port.ts';
import { formatHostPort } from '../../domain/host-port.ts';
import type { Log } from '../../domain/ports.ts';
import type { TailnetIdentity, TailnetMachine, TailnetStatus } from '../../domain/tailnet.ts';
import type { Tailnet } from './tailnet.ts';

/** A machine passes that has one of the tags, or one of the users, or may do one of the capabilities here. Empty: all pass. */
export interface MachineFilter {
  readonly tags: readonly string[];
  /** Login names. */
  readonly users: readonly string[];
  readonly capabilities: readonly string[];
}

export const everyMachine: MachineFilter = { tags: [], users: [], capabilities: [] };

/** No node runs on these. */
const otherSystems: ReadonlySet<string> = new Set(['ios', 'android', 'tvos', 'js']);

export function mayRunNode({ addresses, isExpired, isShared, isExit, os }: TailnetMachine): boolean {
  return addresses.length > 0 && !isExpired && !isShared && !isExit && !otherSystems.has(os.toLowerCase());
}

/** By what the status says; undefined: only a whois knows. */
export function passes(filter: MachineFilter, { user, tags }: Pick<TailnetMachine, 'user' | 'tags'>): boolean | undefined {
  if (filter.tags.length + filter.users.length + filter.capabilities.length === 0) return true;
  if (tags.some((tag) => filter.tags.includes(tag)) || (user !== undefined && filter.users.includes(user))) return true;
  return filter.capabilities.length > 0 ? undefined : false;
}

export function candidateOf({ addresses, isOnline }: TailnetMachine, port: number): Candidate {
  return { addresses: addresses.map((host) => formatHostPort({ host, port })), isOnline };
}

export interface TailnetSourceOptions {
  readonly tailnet: Pick<Tailnet, 'view' | 'onChange' | 'whois'>;
  readonly port: number;
  readonly filter?: MachineFilter;
  readonly log: Log;
}

/** As tailscaled, or its program, lists them. The tailnet itself is started and stopped by whoever made it. */
export class TailnetSource implements DiscoverySource {
  readonly name = 'tailnet';
  readonly #options: TailnetSourceOptions;
  readonly #listeners = new Set<() => void>();
  #release: (() => void) | undefined;
  #candidates: readonly Candidate[] = [];
  #round = 0;

  constructor(options: TailnetSourceOptions) {
    this.#options = options;
  }

  async start(): Promise<void> {
    if (this.#release !== undefined) return;
    this.#release = this.#options.tailnet.onChange(() => void this.#update());
    await this.#update();
  }

  stop(): Promise<void> {
    this.#release?.();
    this.#release = undefined;
    this.#round += 1;
    return Promise.resolve();
  }

  candidates(): readonly Candidate[] {
    return this.#candidates;
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Never rejects. */
  async #update(): Promise<void> {
    const round = (this.#round += 1);
    const { tailnet, port } = this.#options;
    const { view } = tailnet;
    // One that is down still lists peers: they stay known, and nothing new is believed.
    if (view.kind === 'down') return;
    const machines = view.kind === 'up' ? await this.#chosen(view.status) : [];
    if (round !== this.#round) return;
    this.#candidates = machines.map((machine) => candidateOf(machine, port));
    for (const listener of this.#listeners) listener();
  }

  async #chosen({ peers }: TailnetStatus): Promise<readonly TailnetMachine[]> {
    const { filter = everyMachine } = this.#options;
    const able = peers.filter(mayRunNode);
    const asked = await Promise.all(able.map(async (machine) => passes(filter, machine) ?? this.#hasCapability(machine, filter)));
    return able.filter((_machine, index) => asked[index]);
  }

  /** What a machine may do here is told by whois alone, whatever the port. */
  async #hasCapability({ addresses: [host = ''] }: TailnetMachine, { capabilities }: MachineFilter): Promise<boolean> {
    const { tailnet, port, log } = this.#options;
    try {
      const identity: TailnetIdentity | undefined = await tailnet.whois({ host, port });
      return capabilities.some((each) => identity?.capabilities.has(each));
    } catch (error) {
      log.debug({ host, why: toBrokerError(error).message }, 'what a machine of the tailnet may do is not known');
      return false;
    }
  }
}
