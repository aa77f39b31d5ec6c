/** One node's core: every part, and the use cases that local clients call. */
import type { Check } from '../domain/checks.ts';
import type { OutputStream } from '../domain/flight-event.ts';
import { unavailable } from '../domain/errors.ts';
import type { FlightId, NodeId } from '../domain/ids.ts';
import type { Harness, Orphans } from '../domain/harness-port.ts';
import type { FlightTokens } from '../domain/flight-token.ts';
import type { Invocation } from '../domain/invocation.ts';
import type { DeliveryFilter } from '../domain/messages.ts';
import type { Mesh } from '../domain/mesh-port.ts';
import type { Clock, Digest, Log, ProjectProbe, RecordSeal, Startable, UlidSource } from '../domain/ports.ts';
import type { PeerState } from '../domain/peer.ts';
import type { Delivery, Flight, PageRequest } from '../domain/records.ts';
import type { Member, Store } from '../domain/store-port.ts';
import type { CertificateChain, IssuerProof, PeerIdentity } from '../domain/trust.ts';
import { Acceptance } from './acceptance.ts';
import { Admission } from './admission.ts';
import { Agents } from './agents.ts';
import type { BrokerApi, MemberView, NodeStatus } from './api.ts';
import type { Chronicler } from './chronicler.ts';
import { Deadlines } from './deadlines.ts';
import { examineNode } from './doctor.ts';
import { Feed } from './feed.ts';
import { FlightCallers } from './flight-callers.ts';
import { flightEnvironment } from './flight-environment.ts';
import { Flights } from './flights.ts';
import type { Chore } from './housekeeping.ts';
import { Housekeeping } from './housekeeping.ts';
import { follow } from './follow.ts';
import { Inbox } from './inbox.ts';
import { Inspection } from './inspection.ts';
import type { Leaving } from './leaving.ts';
import { Links } from './links.ts';
import { makeMembership } from './membership.ts';
import type { MembershipPorts } from './membership.ts';
import { Nodes } from './nodes.ts';
import { Outbox } from './outbox.ts';
import { defaultRetention, Pruning } from './pruning.ts';
import type { Retention } from './pruning.ts';
import { Registry } from './registry.ts';
import { redrive } from './redrive.ts';
import type { Renaming } from './renaming.ts';
import { Replies } from './replies.ts';
import { Resolver } from './resolution.ts';
import { Rollback } from './rollback.ts';
import { Runner, stopGraceMs } from './runner.ts';
import type { Self } from './self.ts';
import { Waiting } from './waiting.ts';
import { watchPeers } from './watch-peers.ts';

/** Making, entering and opening the mesh: keys, certificates and the network port are outside the core. */
export type MeshUseCases = Pick<BrokerApi, 'createMesh' | 'createInvite' | 'joinMesh'>;

export interface BrokerParts extends MembershipPorts {
  readonly self: Self;
  readonly store: Store;
  readonly mesh: () => Mesh;
  readonly harnesses: ReadonlyMap<string, Harness>;
  readonly orphans: Orphans;
  readonly flightTokens: FlightTokens;
  /** Where this node has its state. */
  readonly home: string;
  readonly seal: RecordSeal;
  readonly probe: ProjectProbe;
  readonly chronicler: Chronicler;
  readonly clock: Clock;
  readonly ulids: UlidSource;
  readonly digest: Digest;
  readonly log: Log;
  readonly meshUseCases: MeshUseCases;
  readonly verify: (chain: CertificateChain) => PeerIdentity;
  readonly ownAddresses: () => readonly string[];
  readonly onMembers: (members: readonly Member[]) => void;
  /** Login name of this machine's user in its tailnet; undefined when it is tagged, or in none. */
  readonly tailnetUser: () => string | undefined;
  /** What proves this node to be an issuer; undefined when it is none. */
  readonly issuerProof: () => IssuerProof | undefined;
  readonly isIssuer: (nodeId: NodeId, proof: IssuerProof) => boolean;
  readonly pid: number;
  /** For `doctor`: the network port, certificates, the tailnet. */
  readonly checks?: () => Promise<readonly Check[]>;
  /** What else is looked at now and then. */
  readonly chores?: readonly Chore[];
  /** How long what is over is kept. */
  readonly retention?: Retention;
  /** Asked for by a client; the node stops itself afterwards. */
  readonly onShutdown: (force: boolean) => void;
}

export class Broker implements BrokerApi, Startable {
  readonly links: Links;
  readonly admission: Admission;
  readonly registry: Registry;
  readonly #parts: BrokerParts;
  readonly #feed = new Feed();
  readonly #runner: Runner;
  readonly #outbox: Outbox;
  readonly #deadlines: Deadlines;
  readonly #housekeeping: Housekeeping;
  readonly #rollback: Rollback;
  readonly #nodes: Nodes;
  readonly #agents: Agents;
  readonly #resolver: Resolver;
  readonly #acceptance: Acceptance;
  readonly #flights: Flights;
  readonly #callers: FlightCallers;
  readonly #inspection: Inspection;
  readonly #replies: Replies;
  readonly #waiting: Waiting;
  readonly #renaming: Renaming;
  readonly #leaving: Leaving;
  readonly #forced = new AbortController();
  /** No new work: not yet, or not any more. */
  #isDraining = true;
  /** As if it went down, for as long as it takes to leave its mesh. */
  #isLeaving = false;

  constructor(parts: BrokerParts) {
    this.#parts = parts;
    const { store, self, clock, log, chronicler, ulids, mesh, harnesses, probe } = parts;
    const feed = this.#feed;
    const isDraining = (): boolean => this.#isDraining || this.#isLeaving;
    const nameOf = (nodeId: Flight['ownerNodeId']): string => this.#nodes.nameOf(nodeId);
    this.#nodes = new Nodes({ store, self });
    this.#callers = new FlightCallers({ store, self, tokens: parts.flightTokens });
    const environmentOf = (invocation: Invocation, flight: Flight): Readonly<Record<string, string>> =>
      flightEnvironment(invocation, flight, { home: parts.home, token: parts.flightTokens.of(flight.id, flight.run) });
    this.#runner = new Runner({
      store,
      harnesses,
      chronicler,
      feed,
      clock,
      ulids,
      log,
      environmentOf,
      onEvents: (flight) => inbox.flightChanged(flight),
      mayStart: (flight) => this.#rollback.mayStart(flight),
    });
    const inbox = new Inbox({ store, self, chronicler, runner: this.#runner, clock, log, isDraining, isLeaving: () => this.#isLeaving, rollback: () => this.#rollback });
    const onChanged = (flight: Flight): void => (feed.changed(flight.id), inbox.flightChanged(flight));
    this.#rollback = new Rollback({ store, self, mesh, runner: this.#runner, chronicler, clock, ulids, log, onChanged });
    const pruning = new Pruning({ store, chronicler, clock, log, retention: parts.retention ?? defaultRetention, isStopping: () => this.#isDraining });
    this.#outbox = new Outbox({ store, mesh, chronicler, feed, clock, ulids, log });
    this.#deadlines = new Deadlines({ store, self, runner: this.#runner, chronicler, feed, clock, log });
    this.registry = new Registry({ store, self, seal: parts.seal, mesh, clock });
    this.#resolver = new Resolver({ store, self, registry: this.registry, probe, clock });
    this.#agents = new Agents({
      store,
      self,
      registry: this.registry,
      runner: this.#runner,
      harnesses,
      probe,
      chronicler,
      ulids,
      log,
      find: (address) => this.#resolver.find(address),
    });
    this.#acceptance = new Acceptance({
      store,
      self,
      resolver: this.#resolver,
      harnesses,
      mesh,
      outbox: this.#outbox,
      runner: this.#runner,
      chronicler,
      clock,
      ulids,
      digest: parts.digest,
      isDraining,
      onDeadline: (flight) => this.#deadlines.added(flight),
    });
    this.#flights = new Flights({ store, self, feed, outbox: this.#outbox, runner: this.#runner, chronicler, clock, log, nameOf });
    this.#inspection = new Inspection({ store, self, mesh, nodes: this.#nodes, flights: this.#flights, clock });
    this.#replies = new Replies({
      ...{ store, self, mesh, feed, chronicler, clock },
      find: (id) => this.#flights.find(id),
      onTaken: (flight, request, answer) => {
        feed.changed(flight.id);
        inbox.flightChanged(flight);
        this.#runner.answered(flight.id, request, answer);
      },
    });
    this.#waiting = new Waiting({ store, self, mesh, nodes: this.#nodes });
    const trust = { verify: parts.verify, ownAddresses: parts.ownAddresses, onMembers: parts.onMembers };
    const { roster, renaming, leaving } = makeMembership({
      ...{ store, self, chronicler, mesh, clock, log, seal: parts.seal, runner: this.#runner, outbox: this.#outbox, ports: parts, ...trust },
      ...{ issuerProof: parts.issuerProof, isIssuer: parts.isIssuer },
      onAddresses: () => this.registry.changed(),
      setLeaving: (isLeaving) => {
        this.#isLeaving = isLeaving;
        if (!isLeaving && !this.#isDraining) this.#runner.resume();
      },
    });
    this.#renaming = renaming;
    this.#leaving = leaving;
    this.admission = new Admission({ store, self, clock, chronicler, tailnetUser: parts.tailnetUser, onRules: () => roster.rulesChanged(), ...trust });
    this.#housekeeping = new Housekeeping({
      clock,
      log,
      chores: [
        { name: 'ask owners that did not answer', run: () => this.#outbox.askUnanswered() },
        { name: 'say again what people replied', run: () => this.#replies.repeat() },
        { name: 'send again what origins did not store', run: () => inbox.resendStalled() },
        { name: 'start what waits', run: () => this.#runner.wakeAll() },
        { name: 'look at what agents need', run: () => this.#agents.refreshAvailability() },
        { name: 'ask origins about what is held back', run: () => this.#rollback.askAgain() },
        { name: 'prune', run: () => pruning.run() },
        ...(parts.chores ?? []),
      ],
    });
    this.links = new Links({ store, inbox, outbox: this.#outbox, rollback: this.#rollback, replies: this.#replies, registry: this.registry, roster, renaming, leaving, inspection: this.#inspection, clock, log });
  }

  /** What a dead node left running is settled first; then queued work starts. */
  async start(): Promise<void> {
    const { store, chronicler, self, log, orphans } = this.#parts;
    const ended = await orphans.sweep(store.read.processes(), stopGraceMs);
    for (const [flightId, processes] of ended) log.warn({ flightId, processes }, 'the node died and left these running: ended');
    const recovered = await store.write.recover({ stamp: chronicler.stamp(), nodeId: self.nodeId, ended });
    if (recovered.indeterminate.length > 0) log.warn({ flights: recovered.indeterminate.length }, 'work was running when the node died: indeterminate');
    await this.#deadlines.start();
    await this.#agents.refreshAvailability();
    await this.#housekeeping.start();
    this.#isDraining = false;
    await this.#rollback.start();
    this.#runner.wakeAll();
  }

  /** Refuses new work, waits for what runs; `force` any time ends it as `indeterminate`. */
  async drain(): Promise<void> {
    this.#isDraining = true;
    await this.#runner.drain(this.#forced.signal);
  }

  force(): void {
    this.#forced.abort();
  }

  async stop(): Promise<void> {
    this.#isDraining = true;
    this.force();
    await this.#runner.drain(this.#forced.signal);
    await this.#housekeeping.stop();
    await this.#rollback.stop();
    await this.#deadlines.stop();
    await this.links.settled();
    this.#feed.wakeAll();
  }

  async status(): Promise<NodeStatus> {
    const { self, store, mesh, pid, ownAddresses } = this.#parts;
    const peers: Partial<Record<PeerState, number>> = {};
    for (const { state } of mesh().peers()) peers[state] = (peers[state] ?? 0) + 1;
    const own = self.mesh();
    return {
      nodeId: self.nodeId,
      name: self.name(),
      owner: self.owner(),
      epoch: self.epoch,
      version: self.version,
      ...(own === undefined ? {} : { mesh: own }),
      peers,
      flights: await store.inspect.countFlights(),
      pid,
      listen: ownAddresses(),
      draining: this.#isDraining || this.#isLeaving,
    };
  }

  shutdown(force: boolean): Promise<{ pid: number; running: number }> {
    this.#isDraining = true;
    const running = this.#runner.running;
    this.#parts.onShutdown(force);
    return Promise.resolve({ pid: this.#parts.pid, running });
  }

  readonly addAgent: BrokerApi['addAgent'] = (spec) => this.#agents.add(spec);
  readonly removeAgent: BrokerApi['removeAgent'] = (address) => this.#agents.remove(address);
  readonly resolve: BrokerApi['resolve'] = (selector) => this.#resolver.explain(selector);
  readonly invoke: BrokerApi['invoke'] = async (input) => {
    if (this.#isLeaving) throw unavailable('this node is leaving its mesh, and takes no new work until it has', 'try again in a moment');
    return this.#acceptance.invoke(input);
  };
  readonly cancelFlight = (id: string, waitMs: number, by = 'local'): Promise<{ flight: Flight; confirmed: boolean }> => this.#flights.cancel(id, by, waitMs);
  readonly replyToFlight: BrokerApi['replyToFlight'] = (input) => this.#replies.give(input);
  readonly listWaiting: BrokerApi['listWaiting'] = () => this.#waiting.list();
  readonly redriveDelivery: BrokerApi['redriveDelivery'] = (input) => {
    const { store } = this.#parts;
    return redrive({ store, find: (id) => this.#flights.find(id), invoke: (wanted) => this.#acceptance.invoke(wanted) }, input);
  };
  readonly getFlight: BrokerApi['getFlight'] = (id) => this.#flights.show(id);
  readonly getDelivery: BrokerApi['getDelivery'] = (id) => this.#inspection.getDelivery(id);
  readonly trace: BrokerApi['trace'] = (id) => this.#inspection.trace(id);
  readonly ping: BrokerApi['ping'] = (node) => this.#inspection.ping(node);
  readonly backup: BrokerApi['backup'] = (path) => this.#parts.store.backup(path);
  readonly createMesh: BrokerApi['createMesh'] = (input) => this.#parts.meshUseCases.createMesh(input);
  readonly createInvite: BrokerApi['createInvite'] = (input) => this.#parts.meshUseCases.createInvite(input);
  readonly joinMesh: BrokerApi['joinMesh'] = (token) => this.#parts.meshUseCases.joinMesh(token);

  async pending(): ReturnType<BrokerApi['pending']> {
    return Promise.resolve().then(() => this.admission.pending());
  }

  readonly renameNode: BrokerApi['renameNode'] = (name) => this.#renaming.rename(name);
  readonly leaveMesh: BrokerApi['leaveMesh'] = (input) => this.#leaving.leave(input);

  readonly admit: BrokerApi['admit'] = (input) => this.admission.rule(input);

  async getAgent(address: string): ReturnType<BrokerApi['getAgent']> {
    return Promise.resolve().then(() => this.#agents.get(address));
  }

  async listAgents(filter: { node?: string }, page: PageRequest): ReturnType<BrokerApi['listAgents']> {
    return Promise.resolve().then(() => {
      const node = filter.node === undefined ? undefined : this.#nodes.find(filter.node);
      return this.#agents.list(node, page);
    });
  }

  async findFlight(id: string): Promise<Flight> {
    return Promise.resolve().then(() => this.#flights.find(id));
  }

  readonly flightCaller: BrokerApi['flightCaller'] = (token) => this.#callers.callerOf(token);

  async checkFamily(...[caller, id]: Parameters<BrokerApi['checkFamily']>): Promise<void> {
    return Promise.resolve().then(() => this.#callers.checkFamily(caller, this.#flights.find(id)));
  }

  listFlights(filter: Parameters<BrokerApi['listFlights']>[0], page: PageRequest): ReturnType<BrokerApi['listFlights']> {
    return this.#inspection.listFlights(filter, page);
  }

  listDeliveries(filter: DeliveryFilter & { node?: string; invocation?: string }, page: PageRequest): ReturnType<BrokerApi['listDeliveries']> {
    return this.#inspection.listDeliveries(filter, page);
  }

  follow(flightId: FlightId, options: Parameters<BrokerApi['follow']>[1]): ReturnType<BrokerApi['follow']> {
    const { store } = this.#parts;
    return follow({ store, feed: this.#feed, nameOf: (id) => this.#nodes.nameOf(id), heldWhy: (flight, delivery) => this.#heldWhy(flight, delivery) }, flightId, options);
  }

  output(flightId: FlightId, stream: OutputStream): AsyncIterable<Uint8Array> {
    return this.#flights.output(flightId, stream);
  }

  peers(): ReturnType<BrokerApi['peers']> {
    return Promise.resolve(this.#parts.mesh().peers());
  }

  watchPeers(signal: AbortSignal): ReturnType<BrokerApi['watchPeers']> {
    return watchPeers({ mesh: this.#parts.mesh(), clock: this.#parts.clock }, signal);
  }

  diagnose(): Promise<readonly Check[]> {
    const { store, self, mesh, clock, checks } = this.#parts;
    return examineNode({ store, self, mesh, clock, outside: checks ?? (() => Promise.resolve([])) });
  }

  members(): Promise<readonly MemberView[]> {
    const { store, self, mesh } = this.#parts;
    if (self.mesh() === undefined) return Promise.resolve([]);
    const states = new Map(mesh().peers().map((each) => [each.nodeId, each.state]));
    const others = store.read.members().filter((each) => each.nodeId !== self.nodeId);
    return Promise.resolve([
      { name: self.name(), nodeId: self.nodeId, owner: self.owner(), state: 'self' },
      ...others.map(({ name, nodeId, owner, left }): MemberView => ({ name, nodeId, owner, state: left === undefined ? (states.get(nodeId) ?? 'discovered') : 'left' })),
    ]);
  }

  /** Only a delivery that waits for a link is held; one on its way is not. */
  #heldWhy(flight: Flight, delivery: Delivery): string | undefined {
    if (delivery.status !== 'deferred') return undefined;
    const isOverload = delivery.failureReason === 'overload' && delivery.failureDetail !== undefined;
    if (isOverload) return delivery.failureDetail;
    const peer = this.#parts.mesh().peers().find(({ nodeId }) => nodeId === flight.ownerNodeId);
    return peer?.state === 'incompatible' ? peer.why : `${this.#nodes.nameOf(flight.ownerNodeId)} is not reachable`;
  }
}
