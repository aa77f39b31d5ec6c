/** One agent and the processes that serve it now: who gets the next run, and who goes on with one after a lost connection. */
import type { AttachedRun } from './attached-run.ts';
import { unavailable } from '../../domain/errors.ts';
import type { FlightId } from '../../domain/ids.ts';
import type { Attach, FromServer, ServerLink } from '../../domain/serving-port.ts';

/** A connected process. */
export interface Server {
  readonly id: string;
  readonly concurrency: number;
  readonly link: ServerLink;
  /** It takes nothing new. */
  isDraining: boolean;
}

export class ServedAgent {
  #address: string;
  readonly #servers = new Map<string, Server>();
  readonly #runs = new Map<FlightId, AttachedRun>();

  constructor(address: string) {
    this.#address = address;
  }

  get address(): string {
    return this.#address;
  }

  get isServed(): boolean {
    return this.#takers().length > 0;
  }

  get isIdle(): boolean {
    return this.#servers.size === 0 && this.#runs.size === 0;
  }

  /** A run that is with no process that takes others does not take a place from those that do. */
  get concurrency(): number {
    const takers = this.#takers();
    const elsewhere = [...this.#runs.values()].filter((run) => run.isServed && (run.isLost || !takers.some(({ id }) => run.isWith(id))));
    return takers.reduce((sum, each) => sum + each.concurrency, elsewhere.length);
  }

  add(run: AttachedRun): void {
    this.#runs.set(run.key.flightId, run);
    this.dispatch();
  }

  forget(run: AttachedRun): void {
    if (this.#runs.get(run.key.flightId) === run) this.#runs.delete(run.key.flightId);
  }

  attach({ serverId, concurrency, runs: claimed }: Attach, link: ServerLink): Server {
    const old = this.#servers.get(serverId);
    if (old !== undefined) {
      this.detach(old);
      old.link.close(unavailable('the same process has connected again'));
    }
    const server: Server = { id: serverId, concurrency, link, isDraining: false };
    const known = claimed.map((key) => ({ key, run: this.#runs.get(key.flightId) }));
    const going = known.flatMap(({ key, run }) => (run !== undefined && run.key.run === key.run && run.isFor(serverId) ? [run] : []));
    // What it should have and does not name never reached it.
    for (const run of this.#runs.values()) if (run.isWith(serverId) && !going.includes(run)) run.takeBack();
    link.send({ type: 'attached', address: this.address, runs: going.map(({ key, received }) => ({ ...key, received })) });
    for (const { key, run } of known) if (run === undefined || !going.includes(run)) link.send({ type: 'closed', key });
    for (const run of going) run.resumeWith(serverId, link);
    this.#servers.set(serverId, server);
    this.dispatch();
    return server;
  }

  /** @throws BrokerError `invalid` */
  receive(server: Server, message: FromServer): void {
    if (message.type === 'drain') {
      server.isDraining = true;
      return;
    }
    const run = this.#runs.get(message.key.flightId);
    if (run?.key.run === message.key.run && run.isWith(server.id)) run.receive(message);
    else server.link.send({ type: 'closed', key: message.key });
  }

  /** Its connection is gone. @returns whether it was still the one of its process */
  detach(server: Server): boolean {
    if (this.#servers.get(server.id) !== server) return false;
    this.#servers.delete(server.id);
    for (const run of this.#runs.values()) if (run.isWith(server.id)) run.lost();
    return true;
  }

  /** Hands what waits to the least busy process with room. */
  dispatch(): void {
    for (const run of this.#runs.values()) {
      if (!run.isWaiting) continue;
      const server = this.#leastBusy();
      if (server === undefined) return;
      run.handTo(server.id, server.link);
    }
  }

  /** Who serves it is told, as it was when it attached. */
  renamed(address: string): void {
    this.#address = address;
    for (const { link } of this.#servers.values()) link.send({ type: 'attached', address, runs: [] });
  }

  /** The agent is not registered any more. */
  removed(): void {
    for (const { link } of this.#servers.values()) link.send({ type: 'removed' });
  }

  #takers(): Server[] {
    return [...this.#servers.values()].filter((each) => !each.isDraining);
  }

  #leastBusy(): Server | undefined {
    const loads = this.#takers().map((server) => ({ server, load: this.#load(server) }));
    const free = loads.filter(({ server, load }) => load < server.concurrency);
    return free.toSorted((a, b) => a.load / a.server.concurrency - b.load / b.server.concurrency)[0]?.server;
  }

  #load(server: Server): number {
    return [...this.#runs.values()].filter((run) => run.isServed && run.isWith(server.id)).length;
  }
}
