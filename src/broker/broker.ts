/** One node's core: every part, and the use cases that local clients call. */
import { ownAct } from '../domain/audit.ts';
import { auditCheck } from '../domain/audit-words.ts';
import type { Check } from '../domain/checks.ts';
import { unavailable } from '../domain/errors.ts';
import type { BrokerError } from '../domain/errors.ts';
import type { OutputStream } from '../domain/flight-event.ts';
import type { GossipHandler } from '../domain/gossip-port.ts';
import type { FlightId } from '../domain/ids.ts';
import type { Invocation } from '../domain/invocation.ts';
import type { Startable } from '../domain/ports.ts';
import type { Flight, PageRequest } from '../domain/records.ts';
import type { Member } from '../domain/store-port.ts';
import { Acceptance } from './acceptance.ts';
import { actingAs } from './acting.ts';
import { Admission } from './admission.ts';
import { AuditDesk } from './audit-desk.ts';
import { AgentChecks } from './agent-checks.ts';
import { AgentViews } from './agent-views.ts';
import { Agents } from './agents.ts';
import type { BrokerApi, NodeStatus } from './api.ts';
import type { BrokerParts } from './broker-parts.ts';
import { Deadlines } from './deadlines.ts';
import { examineNode } from './doctor.ts';
import { Feed } from './feed.ts';
import { FlightCallers } from './flight-callers.ts';
import { flightEnvironment } from './flight-environment.ts';
import { FlightWork } from './flight-work.ts';
import { Flights } from './flights.ts';
import { GroupAcceptance } from './group-acceptance.ts';
import { heldSince } from './held.ts';
import { closeHarnesses } from './harness-choice.ts';
import { Housekeeping } from './housekeeping.ts';
import { follow } from './follow.ts';
import { Inbox } from './inbox.ts';
import { Inspection } from './inspection.ts';
import { Isolation } from './isolation.ts';
import { Links } from './links.ts';
import { membersSeen } from './members.ts';
import { makeMembership } from './membership.ts';
import type { MembershipSides } from './membership.ts';
import { Nodes } from './nodes.ts';
import { Operator } from './operator.ts';
import { Notifications } from './notifications.ts';
import { Outbox } from './outbox.ts';
import { wantOwed } from './owed.ts';
import { NodePresence } from './presence.ts';
import { judgementOf, PolicyDesk } from './policy-desk.ts';
import { Projects } from './projects.ts';
import { defaultRetention, Pruning } from './pruning.ts';
import { Registry } from './registry.ts';
import { recover } from './recovery.ts';
import { redrive } from './redrive.ts';
import { revocationsOf } from './removal.ts';
import { Replies } from './replies.ts';
import { ReplyRelay } from './reply-relay.ts';
import { Resolver } from './resolution.ts';
import { Rollback } from './rollback.ts';
import { Runner } from './runner.ts';
import { Sessions } from './sessions.ts';
import { Sharing } from './sharing.ts';
import { statusOf } from './status.ts';
import { Waiting } from './waiting.ts';
import { watchAgents } from './watch-agents.ts';
import { watchPeers } from './watch-peers.ts';

export class Broker implements BrokerApi, Startable {
  readonly links: Links;
  readonly admission: Admission;
  readonly registry: Registry;
  readonly membership: MembershipSides;
  readonly policy: PolicyDesk;
  readonly #parts: BrokerParts;
  readonly #feed = new Feed((flightId) => this.#notifications.changed(flightId));
  readonly #notifications: Notifications;
  readonly #runner: Runner;
  readonly #outbox: Outbox;
  readonly #deadlines: Deadlines;
  readonly #housekeeping: Housekeeping;
  readonly #rollback: Rollback;
  readonly #nodes: Nodes;
  readonly #agents: Agents;
  readonly #projects: Projects;
  readonly #views: AgentViews;
  readonly #resolver: Resolver;
  readonly #acceptance: Acceptance;
  readonly #groups: GroupAcceptance;
  readonly #sharing: Sharing;
  readonly #flights: Flights;
  readonly #callers: FlightCallers;
  readonly #inspection: Inspection;
  readonly #operator: Operator;
  readonly #replies: Replies;
  readonly #relay: ReplyRelay;
  readonly #presence: NodePresence;
  readonly #waiting: Waiting;
  readonly #isolation: Isolation;
  readonly #work: FlightWork;
  readonly #forced = new AbortController();
  /** No new work: not yet, or not any more. */
  #isDraining = true;
  /** What a dead node left is settled. Never so in one that only lends its store to a command. */
  #hasRecovered = false;
  /** As if it went down, for as long as it takes to leave its mesh. */
  #isLeaving = false;

  constructor(parts: BrokerParts) {
    this.#parts = parts;
    const { store, self, clock, log, chronicler, ulids, mesh, harnesses, probe, traces } = parts;
    const feed = this.#feed;
    const isDraining = (): boolean => this.#isDraining || this.#isLeaving;
    const nameOf = (nodeId: Flight['ownerNodeId']): string => this.#nodes.nameOf(nodeId);
    this.#nodes = new Nodes({ store, self });
    this.#notifications = new Notifications({ store, notifier: parts.notifier, log });
    const sessions = new Sessions(store.read, harnesses);
    const { policy, sight } = judgementOf(parts, () => this.registry.state.revision);
    this.#callers = new FlightCallers({ store, self, traces, tokens: parts.flightTokens });
    const environmentOf = (invocation: Invocation, flight: Flight): Readonly<Record<string, string>> =>
      flightEnvironment(invocation, flight, { home: parts.home, token: parts.flightTokens.of(flight.id, flight.run), traces });
    const { worktrees, checkouts } = parts;
    this.#isolation = new Isolation({ store, worktrees, checkouts, harnesses, chronicler, log });
    const checks = new AgentChecks({ harnesses, worktrees, checkouts });
    this.#runner = new Runner({
      ...{ store, harnesses, chronicler, feed, clock, ulids, log, environmentOf, isolation: this.#isolation, wishes: parts.wishes },
      onEvents: (flight) => inbox.flightChanged(flight),
      mayStart: (flight) => this.#rollback.mayStart(flight) && !this.#projects.hasLeft(flight.target),
      ...{ refusalOf: (flight) => policy.refusalOfQueued(flight), isUnknown: (flight) => policy.judgeQueued(flight) === 'unknown' },
      onDoubt: (address) => this.#agents.doubt(address),
      onLoad: (address) => this.#presence.changed(address),
    });
    const inbox = new Inbox({ store, self, chronicler, traces, runner: this.#runner, measures: parts.measures, audit: parts.audit, clock, log, isDraining, isLeaving: () => this.#isLeaving, rollback: () => this.#rollback, sessions, policy, want: (nodeId) => void mesh().want(nodeId) });
    const onChanged = (flight: Flight): void => (feed.changed(flight.id), inbox.flightChanged(flight));
    this.#rollback = new Rollback({ store, self, mesh, runner: this.#runner, chronicler, clock, ulids, log, onChanged });
    const pruning = new Pruning({ store, chronicler, clock, log, retention: parts.retention ?? defaultRetention, isStopping: () => this.#isDraining });
    this.#outbox = new Outbox({ store, mesh, chronicler, feed, clock, ulids, traces, log });
    this.#deadlines = new Deadlines({ store, self, runner: this.#runner, chronicler, feed, clock, log });
    const onMembers = (members: readonly Member[]): void => (this.registry.membersChanged(members), parts.onMembers(members));
    const revocations = revocationsOf(store.read, () => this.membership.removal);
    this.registry = new Registry({ ...parts, onMembers, revocations, roster: () => this.membership.roster, onAuthorities: (bytes, from) => void this.membership.authorities.heard(bytes, from), onPresence: (record, from) => this.#presence.heard(record, from) });
    const { state, spread } = this.registry;
    this.#presence = new NodePresence({ store, self, seal: parts.seal, mesh, runner: this.#runner, spread, clock, log, isMember: (nodeId) => state.isMember(nodeId) });
    this.#views = new AgentViews({ store, self, registry: this.registry, nodes: this.#nodes, presence: this.#presence, noteOf: (address) => this.#projects.noteOf(address), sharesOf: (address) => this.#sharing.of(address) });
    this.#resolver = new Resolver({ store, self, registry: this.registry, probe, clock, presence: this.#presence });
    this.#agents = new Agents({
      ...{ store, self, registry: this.registry, views: this.#views, runner: this.#runner, harnesses, checks, checkouts, probe, chronicler, ulids, log },
      find: (address) => this.#resolver.find(address),
    });
    this.#projects = new Projects({ ...parts.projects, self, store, registry: this.registry, runner: this.#runner, agents: this.#agents, harnesses, checks, checkouts, probe, digest: parts.digest, chronicler, ulids, clock, log });
    this.#sharing = new Sharing({ ...{ store, self, nodes: this.#nodes, policy, runner: this.#runner, chronicler, clock, log }, find: (address) => this.#resolver.find(address), isLive: () => this.#hasRecovered });
    this.policy = new PolicyDesk({ ...{ ...parts, policy, sharing: this.#sharing, nodes: this.#nodes }, find: (address) => this.#resolver.find(address), wake: () => this.#runner.wakeAll(), isLive: () => this.#hasRecovered });
    this.#acceptance = new Acceptance({
      ...{ store, self, checks, mesh, chronicler, clock, ulids, sessions, traces, log, refusal: () => this.refusal(), resolver: this.#resolver, outbox: this.#outbox, runner: this.#runner, digest: parts.digest },
      onDeadline: (flight) => this.#deadlines.added(flight),
      onDoubt: (address) => this.#agents.doubt(address),
      ...{ wishes: parts.wishes, notifier: parts.notifier, measures: parts.measures },
      onWatched: (flight) => this.#notifications.accepted(flight.id),
    });
    this.#groups = new GroupAcceptance({ store, acceptance: this.#acceptance, resolver: this.#resolver, ulids });
    this.#flights = new Flights({ store, self, feed, outbox: this.#outbox, runner: this.#runner, chronicler, clock, log, nameOf, lookAtWorktree: (flight) => this.#work.look(flight) });
    this.#work = new FlightWork({ ...{ store, self, mesh, nodes: this.#nodes, worktrees, isolation: this.#isolation, chronicler, clock, ulids, log, policy }, find: (id) => this.#flights.find(id) });
    this.#inspection = new Inspection({ store, self, mesh, nodes: this.#nodes, flights: this.#flights, clock, sight });
    this.#operator = new Operator({ ...{ store, self, mesh, sight, chronicler, clock, isDraining, certificateEnd: parts.certificateEnd, standing: parts.standing }, nodes: this.#nodes, flights: this.#flights });
    this.#replies = new Replies({
      ...{ store, self, mesh, feed, chronicler, clock, policy },
      find: (id) => this.#flights.find(id),
      onTaken: (flight, request, answer) => {
        feed.changed(flight.id);
        inbox.flightChanged(flight);
        this.#runner.answered(flight.id, request, answer);
      },
    });
    this.#waiting = new Waiting({ store, self, mesh, nodes: this.#nodes });
    this.#relay = new ReplyRelay({ self, mesh, policy, sight, targetOf: (id) => store.read.flight(id)?.target, whereabouts: (id) => this.#operator.whereabouts(id), replies: this.#replies, find: (id) => this.#flights.find(id), waiting: () => this.#waiting.list(), audit: parts.audit });
    const trust = { verify: parts.verify, ownAddresses: parts.ownAddresses, onMembers };
    this.membership = makeMembership({
      ...{ store, self, chronicler, mesh, clock, log, audit: parts.audit, random: parts.random, seal: parts.seal, runner: this.#runner, feed, harnesses, ports: parts, state, spread, revocations, find: (text: string) => this.#nodes.find(text), ...trust },
      ...{ issuerProof: parts.issuerProof, isIssuer: parts.isIssuer, onChanged: () => this.membership.renewal.look() },
      onAddresses: () => this.registry.changed(),
      setLeaving: (isLeaving) => {
        this.#isLeaving = isLeaving;
        if (!isLeaving && !this.#isDraining) this.#runner.resume();
      },
    });
    const { roster, renewal, appointing } = this.membership;
    this.admission = new Admission({ store, self, clock, chronicler, tailnetUser: parts.tailnetUser, onRules: () => roster.rulesChanged(), ...trust, onMembers: (members) => roster.announce(members) });
    this.#housekeeping = new Housekeeping({
      clock,
      log,
      chores: [
        { name: 'ask owners that did not answer', run: () => this.#outbox.askUnanswered() },
        { name: 'say again what people replied', run: () => this.#replies.repeat() },
        { name: 'send again what origins did not store', run: () => inbox.resendStalled() },
        { name: 'start what waits', run: () => this.#runner.wakeAll() },
        { name: 'look at projects', run: () => this.#projects.lookAgain() },
        { name: 'look at what agents need', run: () => this.#agents.refreshAvailability() },
        { name: 'ask origins about what is held back', run: () => this.#rollback.askAgain() },
        { name: 'reach those who are owed something', run: () => wantOwed({ store, mesh }) },
        { name: 'renew certificates', run: () => (renewal.look(), appointing.look()) },
        { name: 'prune', run: () => pruning.run() },
        ...(parts.chores ?? []),
      ],
    });
    this.links = new Links({
      ...{ store, inbox, ...this.membership, chronicler, clock, log, outbox: this.#outbox, rollback: this.#rollback, registry: this.registry },
      ...{ replies: this.#replies, relay: this.#relay, inspection: this.#inspection, operator: this.#operator, work: this.#work, presence: this.#presence },
    });
  }

  /** What a dead node left running is settled first; then queued work starts. */
  async start(): Promise<void> {
    await recover(this.#parts, this.#runner);
    await this.#isolation.start();
    await this.#notifications.start();
    await this.#sharing.start();
    this.#hasRecovered = true;
    await this.membership.removal.start();
    await this.#deadlines.start();
    await this.#agents.refreshAvailability();
    await this.#projects.start();
    await this.#housekeeping.start();
    await this.registry.start();
    this.#isDraining = false;
    await this.#rollback.start();
    this.#runner.wakeAll();
    wantOwed(this.#parts);
    this.membership.renewal.look();
    await this.#presence.start();
  }

  /** Who serves this agent, or how many runs it takes, has changed. */
  async agentChanged(address: string): Promise<void> {
    this.#runner.wake(address);
    try {
      await this.#agents.refreshAvailability(address);
    } catch (error) {
      this.#parts.log.error({ agent: address, err: error }, 'what became of an agent could not be stored; it is looked at again');
    }
  }

  /** Refuses new work, waits for what runs; `force` any time ends it as `indeterminate`. */
  async drain(): Promise<void> {
    this.#isDraining = true;
    await this.#runner.drain(this.#forced.signal);
    await this.#notifications.settled(this.#forced.signal);
  }

  force(): void {
    this.#forced.abort();
  }

  async stop(): Promise<void> {
    this.#isDraining = true;
    this.force();
    await this.#runner.drain(this.#forced.signal);
    await closeHarnesses(this.#parts);
    await this.#notifications.stop();
    await this.#presence.stop();
    await this.#housekeeping.stop();
    await Promise.all([this.membership.renewal.stop(), this.membership.appointing.stop(), this.policy.stop()]);
    await this.#projects.stop();
    await this.registry.stop();
    await this.#rollback.stop();
    await this.#deadlines.stop();
    await this.#work.stop();
    await this.links.settled();
    await this.membership.removal.settled();
    await this.#agents.settled();
    this.#feed.wakeAll();
  }

  /** Others can reach this node elsewhere than before. */
  addressesChanged(): void {
    this.registry.changed();
  }

  /** A process that was kept for its session is gone; `flightId`: whose it was when it was spawned. */
  readonly processEnded = (flightId: FlightId): void => this.#runner.processEnded(flightId);

  status(): Promise<NodeStatus> {
    return statusOf(this.#parts, this.#isDraining || this.#isLeaving);
  }

  shutdown(force: boolean): Promise<{ pid: number; running: number }> {
    this.#isDraining = true;
    const running = this.#runner.running;
    this.#parts.onShutdown(force);
    return Promise.resolve({ pid: this.#parts.pid, running });
  }

  readonly gossiped: GossipHandler = (news, from) => this.registry.gossiped(news, from);
  readonly addAgent: BrokerApi['addAgent'] = (spec) => this.#agents.add(spec);
  readonly removeAgent: BrokerApi['removeAgent'] = (address) => this.#agents.remove(address);
  readonly scanProjects: BrokerApi['scanProjects'] = (input) => this.#projects.scanProjects(input);
  readonly approveProjects: BrokerApi['approveProjects'] = (input) => this.#projects.approveProjects(input);
  readonly forgetProject: BrokerApi['forgetProject'] = (root) => this.#projects.forgetProject(root);
  readonly resolve: BrokerApi['resolve'] = (selector) => this.#resolver.explain(selector);
  readonly showPolicy: BrokerApi['showPolicy'] = () => this.policy.showPolicy();
  readonly checkPolicy: BrokerApi['checkPolicy'] = (input) => this.policy.checkPolicy(input);
  readonly shareAgent: BrokerApi['shareAgent'] = (input) => this.#sharing.share(input);
  readonly unshareAgent: BrokerApi['unshareAgent'] = (input) => this.#sharing.unshare(input);
  readonly invoke: BrokerApi['invoke'] = (input) => this.#acceptance.invoke(input);
  readonly submission: BrokerApi['submission'] = () => this.#acceptance.submission();
  readonly invokeAll: BrokerApi['invokeAll'] = (input) => this.#groups.invokeAll(input);
  readonly getGroup: BrokerApi['getGroup'] = async (id) => this.#groups.find(id);
  readonly cancelFlight = (id: string, waitMs: number, by = 'local'): Promise<{ flight: Flight; confirmed: boolean }> => this.#judging(() => this.#flights.cancel(id, by, waitMs));
  readonly replyToFlight: BrokerApi['replyToFlight'] = (input) => this.#judging(() => this.#relay.give(input));
  readonly listWaiting: BrokerApi['listWaiting'] = () => this.#waiting.list();
  readonly redriveDelivery: BrokerApi['redriveDelivery'] = (input) => {
    const { store, traces } = this.#parts;
    return redrive({ store, traces, find: (id) => this.#flights.find(id), invoke: (wanted) => this.#acceptance.invoke(wanted) }, input);
  };
  readonly getFlight: BrokerApi['getFlight'] = (id) => this.#flights.show(id);
  readonly readDiff: BrokerApi['readDiff'] = (id) => this.#work.diff(id);
  readonly settleWorktree: BrokerApi['settleWorktree'] = ({ id, ...settle }) => this.#work.settle(id, settle);
  readonly getDelivery: BrokerApi['getDelivery'] = (id) => this.#inspection.getDelivery(id);
  readonly trace: BrokerApi['trace'] = (id) => this.#operator.trace(id);
  readonly tail: BrokerApi['tail'] = (input, signal) => this.#operator.tail(input, signal);
  readonly report: BrokerApi['report'] = (sinceMs) => this.#operator.report(sinceMs);
  readonly export: BrokerApi['export'] = (input, signal) => this.#operator.export(input, signal);
  readonly ping: BrokerApi['ping'] = (node) => this.#inspection.ping(node);
  readonly backup: BrokerApi['backup'] = (path, tell) => this.#parts.store.backup(path, tell);
  readonly as: BrokerApi['as'] = (act) =>
    actingAs(act, { agents: this.#agents, sharing: this.#sharing, projects: this.#projects, relay: this.#relay, admission: this.admission, membership: this.membership, mesh: this.#parts.meshUseCases, recovery: this.#parts.recovery, authority: this.#parts.authority, judging: (work) => this.#judging(work) });
  readonly createMesh: BrokerApi['createMesh'] = (input) => this.as(ownAct).createMesh(input);
  readonly createInvite: BrokerApi['createInvite'] = (input) => this.as(ownAct).createInvite(input);
  readonly addIssuer: BrokerApi['addIssuer'] = (node) => this.as(ownAct).addIssuer(node);
  get authority(): BrokerApi['authority'] { return this.as(ownAct).authority; }
  readonly exportRecovery: BrokerApi['exportRecovery'] = (input) => this.as(ownAct).exportRecovery(input);
  readonly importRecovery: BrokerApi['importRecovery'] = (input) => this.as(ownAct).importRecovery(input);
  readonly joinMesh: BrokerApi['joinMesh'] = (token) => this.as(ownAct).joinMesh(token);
  readonly #audit = (): AuditDesk => new AuditDesk({ ...this.#parts, knownEnd: this.#parts.knownEnd ?? (() => undefined) });
  readonly listAudit: BrokerApi['listAudit'] = (filter, page) => this.#audit().listAudit(filter, page);
  readonly checkAudit: BrokerApi['checkAudit'] = (input) => this.#audit().checkAudit(input);
  readonly noteAudit: BrokerApi['noteAudit'] = (act) => this.#audit().noteAudit(act);

  readonly pending: BrokerApi['pending'] = async () => Promise.resolve().then(() => this.admission.pending());
  readonly renameNode: BrokerApi['renameNode'] = (name) => this.membership.renaming.rename(name);
  readonly leaveMesh: BrokerApi['leaveMesh'] = (input) => this.membership.leaving.leave(input);
  readonly members: BrokerApi['members'] = () => Promise.resolve(membersSeen(this.#parts));
  readonly removeMember: BrokerApi['removeMember'] = (node, by) => this.membership.removal.remove(node, by);

  readonly admit: BrokerApi['admit'] = (input) => this.admission.rule(input);

  readonly getAgent: BrokerApi['getAgent'] = async (address) => Promise.resolve().then(() => this.#agents.get(address));
  readonly listAgents: BrokerApi['listAgents'] = async (filter, page) => Promise.resolve().then(() => this.#views.list(filter, page));

  watchAgents(...[filter, signal]: Parameters<BrokerApi['watchAgents']>): ReturnType<BrokerApi['watchAgents']> {
    return watchAgents({ views: this.#views, registry: this.registry, mesh: this.#parts.mesh(), clock: this.#parts.clock }, filter, signal);
  }

  readonly findFlight: BrokerApi['findFlight'] = async (id) => Promise.resolve().then(() => this.#flights.find(id));
  readonly flightCaller: BrokerApi['flightCaller'] = (token) => this.#callers.callerOf(token);

  async checkFamily(...[caller, id]: Parameters<BrokerApi['checkFamily']>): Promise<void> {
    return Promise.resolve().then(() => this.#callers.checkFamily(caller, this.#flights.find(id)));
  }

  async listFlights({ group, ...filter }: Parameters<BrokerApi['listFlights']>[0], page: PageRequest): ReturnType<BrokerApi['listFlights']> {
    return this.#inspection.listFlights({ ...filter, ...(group === undefined ? {} : { group: this.#groups.idOf(group) }) }, page);
  }

  readonly listDeliveries: BrokerApi['listDeliveries'] = (filter, page) => this.#inspection.listDeliveries(filter, page);

  follow(flightId: FlightId, options: Parameters<BrokerApi['follow']>[1]): ReturnType<BrokerApi['follow']> {
    const { store, mesh } = this.#parts;
    const nodes = this.#nodes;
    return follow({ store, feed: this.#feed, nameOf: (id) => nodes.nameOf(id), held: (flight) => heldSince({ mesh: mesh(), nodes, delivery: (id) => store.read.delivery(id), isOnItsWay: (each) => this.#outbox.isOnItsWay(each) }, flight) }, flightId, options);
  }

  output(flightId: FlightId, stream: OutputStream): AsyncIterable<Uint8Array> {
    return this.#flights.output(flightId, stream);
  }

  readonly peers: BrokerApi['peers'] = () => Promise.resolve(this.#parts.mesh().peers());
  watchPeers(signal: AbortSignal): ReturnType<BrokerApi['watchPeers']> {
    return watchPeers({ mesh: this.#parts.mesh(), clock: this.#parts.clock }, signal);
  }

  diagnose(): Promise<readonly Check[]> {
    const { store, self, mesh, clock, checks } = this.#parts;
    return examineNode({ store, self, mesh, clock, outside: async () => [auditCheck(await this.checkAudit({ whole: false })), ...((await checks?.()) ?? []), ...(await this.#projects.checks())] });
  }

  /** Why it takes no new work. */
  refusal(): BrokerError | undefined {
    if (this.#isLeaving) return unavailable('this node is leaving its mesh, and takes no new work until it has', 'try again in a moment');
    return this.#isDraining ? unavailable('this node is going down and takes no new work', 'start it again: beckon up') : undefined;
  }

  /** What runs by the store may have died with its node: until that is settled nothing is said of it. */
  async #judging<Result>(work: () => Promise<Result>): Promise<Result> {
    if (!this.#hasRecovered) throw unavailable('no node is running here: a command has its store for a moment', 'start the node: beckon up --detach');
    return work();
  }
}
