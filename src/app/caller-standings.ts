/**
 * What the tailnet says of each node that calls: tags and capabilities of the machine that its session comes from. Asked
 * when a session begins and with every notice of the tailnet, so that what is withdrawn there ends here, in sessions that
 * are open, too. Believed only of connections that came through the tailnet; held in memory, since every call asks for it.
 */
import { toBrokerError } from '../domain/errors.ts';
import { parseHostPort } from '../domain/host-port.ts';
import type { HostPort } from '../domain/host-port.ts';
import type { NodeId } from '../domain/ids.ts';
import { pause } from '../domain/pause.ts';
import type { TailnetStanding } from '../domain/policy-caller.ts';
import type { CallerStanding, CallerStandings as Standings } from '../domain/policy-port.ts';
import type { Clock, Log, Startable } from '../domain/ports.ts';
import type { TailnetIdentity } from '../domain/tailnet.ts';
import type { Tailnet } from '../discovery/tailscale/tailnet.ts';
import type { LiveSession } from '../mesh/node-mesh.ts';
import { plainAddress } from '../trust/front.ts';
import { rulesOfCapability } from './capability-rules.ts';
import { identifyCaller, identifyListener } from './identify.ts';
import { insideTailnet, isOfTailnet } from './tailnet.ts';
import { QueuedLook } from '../broker/queued-look.ts';

export interface CallerStandingsParts {
  readonly tailnet: Pick<Tailnet, 'view' | 'whois' | 'onLook'>;
  readonly sessions: () => readonly LiveSession[];
  /** To which address of this machine an inbound connection came; undefined when it is gone. */
  readonly localAddressOf: (remote: string) => string | undefined;
  /** By which address of this machine a connection to there leaves. */
  readonly wayOut: (host: string, port: number) => Promise<string | undefined>;
  readonly clock: Clock;
  readonly log: Log;
}

interface Entry {
  readonly name: string;
  session: LiveSession | undefined;
  /** The machine that its session came from. */
  identity: TailnetIdentity | undefined;
  standing: CallerStanding;
  /** The first answer about this session is awaited. */
  asking: Promise<void> | undefined;
}

const neverSeen: CallerStanding = standing({ kind: 'unknown', why: 'it has had no session since this node started' });
const retryMs = 200;
const mostTries = 3;

export class CallerStandings implements Standings, Startable {
  readonly #parts: CallerStandingsParts;
  readonly #entries = new Map<NodeId, Entry>();
  readonly #listeners = new Set<(nodeId: NodeId) => void>();
  #release: (() => void) | undefined;
  readonly #looks = new QueuedLook(() => this.#lookAtAll());

  constructor(parts: CallerStandingsParts) {
    this.#parts = parts;
  }

  start(): Promise<void> {
    this.#release ??= this.#parts.tailnet.onLook(() => {
      if (this.#release !== undefined) this.#looks.ask();
    });
    return Promise.resolve();
  }

  async stop(): Promise<void> {
    this.#release?.();
    this.#release = undefined;
    await this.#looks.settled();
    await Promise.all([...this.#entries.values()].flatMap(({ asking }) => asking ?? []));
  }

  /** Before anything that the peer says is heard. */
  began(nodeId: NodeId): void {
    const session = this.#parts.sessions().find(({ peer }) => peer.nodeId === nodeId);
    if (session === undefined) return;
    const before = this.#entries.get(nodeId);
    // Another session may come another way: what was known counts no more.
    const entry: Entry = { name: session.peer.name, session, identity: undefined, standing: standing({ kind: 'unknown', why: 'the tailnet is being asked' }), asking: undefined };
    this.#entries.set(nodeId, entry);
    entry.asking = this.#ask(nodeId, entry, before?.standing).finally(() => (entry.asking = undefined));
  }

  standingOf(nodeId: NodeId): CallerStanding {
    return this.#entries.get(nodeId)?.standing ?? neverSeen;
  }

  settled(nodeId: NodeId): Promise<void> | undefined {
    return this.#entries.get(nodeId)?.asking;
  }

  onChange(listener: (nodeId: NodeId) => void): void {
    this.#listeners.add(listener);
  }

  async #lookAtAll(): Promise<void> {
    const live = new Set(this.#parts.sessions());
    await Promise.all(
      [...this.#entries].map(async ([nodeId, entry]) => {
        if (entry.session !== undefined && !live.has(entry.session)) entry.session = undefined;
        if (entry.asking === undefined) await this.#ask(nodeId, entry, entry.standing);
      }),
    );
  }

  /** Never rejects. */
  async #ask(nodeId: NodeId, entry: Entry, before: CallerStanding | undefined): Promise<void> {
    entry.standing = await this.#answer(entry);
    if (this.#entries.get(nodeId) !== entry || shown(entry.standing) === shown(before)) return;
    const { log } = this.#parts;
    for (const { flaw } of entry.standing.rules) if (flaw !== undefined) log.error({ peer: entry.name, peerId: nodeId, why: flaw }, 'what the tailnet’s policy says of a node can not be understood: all is denied to it');
    if (before !== undefined) log.info({ peer: entry.name, peerId: nodeId, count: entry.standing.rules.length, why: whyOf(entry.standing.tailnet) }, 'what the tailnet says of a node is another from now on');
    for (const listener of this.#listeners) listener(nodeId);
  }

  async #answer(entry: Entry): Promise<CallerStanding> {
    for (let tries = 1; ; tries += 1) {
      try {
        const identity = await (entry.session === undefined ? this.#later(entry) : this.#identify(entry.session));
        if (typeof identity === 'string') return standing({ kind: 'none', why: identity });
        if (entry.identity !== undefined && identity.id !== entry.identity.id) return standing({ kind: 'none', why: `its address in the tailnet is that of another machine now: ${identity.name}` });
        entry.identity = identity;
        return { tailnet: { kind: 'known', tags: identity.tags, capabilities: new Set(identity.capabilities.keys()) }, rules: rulesOfCapability(identity) };
      } catch (error) {
        const { code, message } = toBrokerError(error);
        // Refused is an answer: nothing is said of that machine.
        if (code === 'denied') return standing({ kind: 'none', why: message });
        if (tries === mostTries || this.#release === undefined) return standing({ kind: 'unknown', why: message });
        await pause(this.#parts.clock, retryMs);
      }
    }
  }

  /** A text: why the tailnet has no say. @throws BrokerError `denied` when it vouches for nobody there, `unavailable` when it can't be asked */
  async #identify({ address, path }: LiveSession): Promise<TailnetIdentity | string> {
    const { tailnet, localAddressOf, wayOut } = this.#parts;
    const { view } = tailnet;
    const { host, port } = parseHostPort(address);
    const remote: HostPort = { host: plainAddress(host), port };
    const outside = 'its session does not come through the tailnet';
    if (view.kind !== 'up') return isOfTailnet(remote.host) ? await identifyListener(tailnet, remote) : outside;
    if (path === 'inbound') {
      const localAddress = localAddressOf(address);
      return localAddress === undefined ? outside : await identifyCaller(tailnet, { remote, localAddress });
    }
    const inside = insideTailnet(remote, view.status);
    if (inside === undefined) return outside;
    // Without a network interface it was dialled through tailscaled itself.
    const leaves = view.status.isUserspace ? undefined : await wayOut(inside.host, inside.port);
    if (!view.status.isUserspace && (leaves === undefined || !view.status.addresses.includes(plainAddress(leaves)))) return outside;
    return await identifyListener(tailnet, inside);
  }

  /** Its session is over; what it asked for may still wait. */
  async #later({ identity, standing: { tailnet: last } }: Entry): Promise<TailnetIdentity | string> {
    const [host] = identity?.addresses ?? [];
    if (identity === undefined || host === undefined) return last.kind === 'none' ? last.why : 'its session ended before the tailnet could be asked';
    return await identifyListener(this.#parts.tailnet, { host, port: 1 });
  }
}

function standing(tailnet: TailnetStanding): CallerStanding {
  return { tailnet, rules: [] };
}

function whyOf(tailnet: TailnetStanding): string | undefined {
  return tailnet.kind === 'known' ? undefined : tailnet.why;
}

function shown(of: CallerStanding | undefined): string {
  return of === undefined ? '' : JSON.stringify({ ...of, tailnet: of.tailnet.kind === 'known' ? [of.tailnet.tags, [...of.tailnet.capabilities]] : of.tailnet });
}
