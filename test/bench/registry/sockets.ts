/**
 * What went over the TCP connections between the nodes of this process: the bytes that TCP carried, TLS and framing
 * included, IP and TCP headers not. Both ends of each connection are in some thread of it, so what was written is all that was sent.
 */
import diagnostics from 'node:diagnostics_channel';
import type { Socket } from 'node:net';

/** Connections of sessions, and those of gossip. */
export interface Traffic {
  readonly sessions: number;
  readonly gossip: number;
}

interface Tracked {
  readonly socket: Socket;
  /** Its ends' once it is connected: a closed socket knows them no more. */
  ports: readonly number[] | undefined;
}

/** What a socket has sent, encrypted; once TLS has taken it over, the handle below alone knows. */
function sentBy(socket: Socket): number {
  const handle = Reflect.get(socket, '_handle') as { readonly bytesWritten?: number; readonly _parent?: { readonly bytesWritten?: number } } | null;
  return handle?._parent?.bytesWritten ?? handle?.bytesWritten ?? socket.bytesWritten;
}

/** Of one thread. */
export class SocketMeter {
  readonly #gossipPorts = new Set<number>();
  readonly #open = new Map<Socket, Tracked>();
  /** Of connections that are over, and how many there ever were. */
  readonly #closed = { sessions: 0, gossip: 0 };

  constructor() {
    const take = (message: unknown): void => this.#take((message as { readonly socket: Socket }).socket);
    for (const channel of ['net.client.socket', 'net.server.socket']) diagnostics.subscribe(channel, take);
  }

  /** @param address host:port where a node listens for gossip */
  gossipAt(address: string): void {
    this.#gossipPorts.add(Number(address.slice(address.lastIndexOf(':') + 1)));
  }

  /** Since the beginning. */
  sent(): Traffic {
    const sum = { ...this.#closed };
    for (const tracked of this.#open.values()) this.#add(sum, tracked);
    return sum;
  }

  /** Connections that are open now: an end counts half. */
  connections(): Traffic {
    const count = { sessions: 0, gossip: 0 };
    for (const tracked of this.#open.values()) {
      const kind = this.#kindOf(tracked);
      if (kind !== undefined) count[kind] += 0.5;
    }
    return count;
  }

  /** @returns what went, both ways, over connections that were made since */
  since(): () => Traffic {
    const before = new Set(this.#open.keys());
    const closedBefore = { ...this.#closed };
    return () => {
      const sum = { sessions: this.#closed.sessions - closedBefore.sessions, gossip: this.#closed.gossip - closedBefore.gossip };
      for (const tracked of this.#open.values()) if (!before.has(tracked.socket)) this.#add(sum, tracked);
      return sum;
    };
  }

  #take(socket: Socket): void {
    const tracked: Tracked = { socket, ports: undefined };
    this.#open.set(socket, tracked);
    this.#kindOf(tracked);
    const over = (): void => {
      if (!this.#open.delete(socket)) return;
      const kind = this.#kindOf(tracked);
      if (kind !== undefined) this.#closed[kind] += socket.bytesWritten;
    };
    socket.once('connect', () => this.#kindOf(tracked));
    socket.once('close', over);
  }

  #add(sum: { sessions: number; gossip: number }, tracked: Tracked): void {
    const kind = this.#kindOf(tracked);
    if (kind !== undefined) sum[kind] += sentBy(tracked.socket);
  }

  /** Undefined: not connected, or no TCP, as the control sockets are. */
  #kindOf(tracked: Tracked): keyof Traffic | undefined {
    const { localPort, remotePort } = tracked.socket;
    if (tracked.ports === undefined && localPort !== undefined && remotePort !== undefined) tracked.ports = [localPort, remotePort];
    if (tracked.ports === undefined) return undefined;
    return tracked.ports.some((port) => this.#gossipPorts.has(port)) ? 'gossip' : 'sessions';
  }
}

export function plus(a: Traffic, b: Traffic): Traffic {
  return { sessions: a.sessions + b.sessions, gossip: a.gossip + b.gossip };
}

export function minus(a: Traffic, b: Traffic): Traffic {
  return { sessions: a.sessions - b.sessions, gossip: a.gossip - b.gossip };
}

export function total({ sessions, gossip }: Traffic): number {
  return sessions + gossip;
}
