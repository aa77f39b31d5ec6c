/** Looks at live sessions again when the tailnet changes, long before silence would tell. */
import { isLoopback, parseHostPort } from '../domain/host-port.ts';
import type { HostPort } from '../domain/host-port.ts';
import { toBrokerError } from '../domain/errors.ts';
import { peerFields } from '../domain/log-fields.ts';
import type { Log, Startable } from '../domain/ports.ts';
import type { TailnetIdentity, TailnetMachine, TailnetStatus } from '../domain/tailnet.ts';
import type { Tailnet } from '../discovery/tailscale/tailnet.ts';
import type { LiveSession, NodeMesh } from '../mesh/node-mesh.ts';
import { plainAddress } from '../trust/front.ts';
import { judgeSession } from './recheck-verdict.ts';
import { insideTailnet } from './tailnet.ts';
import { QueuedLook } from '../broker/queued-look.ts';

export interface RecheckParts {
  readonly tailnet: Pick<Tailnet, 'view' | 'onChange' | 'whois'>;
  readonly mesh: Pick<NodeMesh, 'sessions' | 'examine'>;
  readonly log: Log;
}

interface Seen {
  /** The other end as tailscaled knows it. */
  readonly where: HostPort;
  /** Undefined: the tailnet never knew who that is, and has no say. */
  readonly before: TailnetIdentity | undefined;
  /** Its machine as it was looked at last: what has not changed is not asked about again. */
  machine: string;
  /** Why it was probed last: the same word is not worth a second probe. */
  probedFor: string | undefined;
}

export class Recheck implements Startable {
  readonly #parts: RecheckParts;
  /** Sessions that are over are forgotten with them. */
  readonly #seen = new WeakMap<LiveSession, Seen>();
  #release: (() => void) | undefined;
  readonly #looks = new QueuedLook(() => this.#lookAtAll());

  constructor(parts: RecheckParts) {
    this.#parts = parts;
  }

  start(): Promise<void> {
    this.#release ??= this.#parts.tailnet.onChange(() => this.look());
    return Promise.resolve();
  }

  async stop(): Promise<void> {
    this.#release?.();
    this.#release = undefined;
    await this.#looks.settled();
  }

  /** Also when a session begins: who is at its other end is remembered. */
  look(): void {
    if (this.#release !== undefined) this.#looks.ask();
  }

  async #lookAtAll(): Promise<void> {
    const { tailnet, mesh } = this.#parts;
    const { view } = tailnet;
    // Of a tailnet that is down itself nothing is believed.
    if (view.kind === 'up' && this.#release !== undefined) await Promise.all(mesh.sessions().map((session) => this.#lookAt(session, view.status)));
  }

  /** Never rejects: whoever can't be asked about is looked at with the next change. */
  async #lookAt(session: LiveSession, status: TailnetStatus): Promise<void> {
    const { tailnet, log } = this.#parts;
    const seen = this.#seen.get(session);
    const where = seen?.where ?? placeOf(session, status);
    if (where === undefined) return;
    try {
      if (seen === undefined) {
        const before = await tailnet.whois(where);
        this.#seen.set(session, { where, before, machine: shown(machineOf(before, where, status)), probedFor: undefined });
        return;
      }
      const { before } = seen;
      if (before === undefined) return;
      const machine = machineOf(before, where, status);
      if (shown(machine) === seen.machine) return;
      const now = await tailnet.whois(where);
      seen.machine = shown(machine);
      this.#act(session, seen, judgeSession({ before, now, machine }));
    } catch (error) {
      log.debug({ ...peerFields(session.peer), why: toBrokerError(error).message }, 'who a peer is in the tailnet is not known');
    }
  }

  #act(session: LiveSession, seen: Seen, verdict: ReturnType<typeof judgeSession>): void {
    const { mesh, log } = this.#parts;
    if (verdict.kind === 'cut') {
      log.warn({ ...peerFields(session.peer), address: session.address }, `the session with ${session.peer.name} ends: ${verdict.why}`);
      return session.cut(verdict.why);
    }
    const why = verdict.kind === 'probe' ? verdict.why : undefined;
    if (why !== undefined && why !== seen.probedFor) mesh.examine(session, why);
    seen.probedFor = why;
  }
}

/** Undefined: not through the tailnet. */
function placeOf({ address, path }: LiveSession, status: TailnetStatus): HostPort | undefined {
  const { host, port } = parseHostPort(address);
  const remote = { host: plainAddress(host), port };
  // Without a network interface what came in came from tailscaled itself.
  if (path === 'inbound' && status.isUserspace) return isLoopback(remote) ? remote : undefined;
  return insideTailnet(remote, status);
}

/** By its address, or, where tailscaled hides that, by what it was. */
function machineOf(before: TailnetIdentity | undefined, { host }: HostPort, { peers }: TailnetStatus): TailnetMachine | undefined {
  return peers.find(({ addresses }) => addresses.includes(host)) ?? peers.find(({ id }) => id === before?.id);
}

function shown(machine: TailnetMachine | undefined): string {
  return machine === undefined ? '' : JSON.stringify(machine);
}
