/**
 * Accepting an invocation: everything the origin can know is an error here, before anything is stored; afterwards the
 * flight exists and ends in a state that can be read.
 */
import { ancestryOf, flawOfChain } from '../domain/ancestry.ts';
import { BrokerError, conflict, unavailable } from '../domain/errors.ts';
import { shellAddress, parseAddress } from '../domain/address.ts';
import { attemptIdOf, flightOfInvocation, invocationIdOf } from '../domain/ids.ts';
import type { GroupId } from '../domain/ids.ts';
import { checkKey, checkTaskSize, defaultHoldMs, defaultTotalMs, taskBytes } from '../domain/invocation.ts';
import type { Invocation, Limits } from '../domain/invocation.ts';
import type { Candidate } from '../domain/candidate.ts';
import type { Link, Mesh } from '../domain/mesh-port.ts';
import type { Notifier } from '../domain/notification.ts';
import type { Clock, Digest, Log, UlidSource } from '../domain/ports.ts';
import { usualHeldLimit, usualQueueLimit } from '../domain/queue-share.ts';
import type { Flight } from '../domain/records.ts';
import type { AcceptInput, AcceptPlan, Store } from '../domain/store-port.ts';
import type { Wishes } from '../domain/wishes.ts';
import type { AgentChecks } from './agent-checks.ts';
import type { AcceptedFlight, AcceptedGroup, InvokeInput } from './api.ts';
import type { Chronicler } from './chronicler.ts';
import { Descendants } from './descendants.ts';
import type { FlightTraces } from './flight-traces.ts';
import { Intake } from './intake.ts';
import { measured } from './measures.ts';
import type { BrokerMeasures } from './measures.ts';
import { drainingWords } from './outbox.ts';
import type { Outbox } from './outbox.ts';
import type { Resolver } from './resolution.ts';
import type { Runner } from './runner.ts';
import type { Self } from './self.ts';
import type { Sessions } from './sessions.ts';
import { SharedLooks } from './shared-looks.ts';
import type { Looked } from './shared-looks.ts';

/** How long `--no-hold` tries to reach the owner. */
const dialMs = 5000;

export interface AcceptanceParts {
  readonly store: Store;
  readonly self: Self;
  readonly resolver: Resolver;
  readonly checks: AgentChecks;
  readonly mesh: () => Mesh;
  readonly outbox: Outbox;
  readonly runner: Runner;
  readonly chronicler: Chronicler;
  readonly clock: Clock;
  readonly ulids: UlidSource;
  readonly digest: Digest;
  readonly sessions: Sessions;
  readonly traces: FlightTraces;
  /** Why no new work is taken now. */
  readonly refusal: () => BrokerError | undefined;
  readonly wishes?: Wishes | undefined;
  /** `unable`: why nobody would notice. */
  readonly notifier: Pick<Notifier, 'unable'>;
  readonly onDeadline: (flight: Flight) => void;
  /** Its person wants to be told of it. */
  readonly onWatched: (flight: Flight) => void;
  /** An agent of this node is not as it was registered. */
  readonly onDoubt: (address: string) => void;
  readonly measures?: BrokerMeasures | undefined;
  readonly log: Log;
}

/** One invocation on its way into the store. */
export interface Planned {
  readonly invocation: Invocation;
  readonly plan: AcceptPlan;
  readonly link: Link | undefined;
}

export class Acceptance {
  readonly #parts: AcceptanceParts;
  readonly #intake = new Intake();
  readonly #descendants: Descendants;

  constructor(parts: AcceptanceParts) {
    this.#parts = parts;
    this.#descendants = new Descendants(parts.log);
  }

  invoke(input: InvokeInput): Promise<AcceptedFlight> {
    return this.measured(() => this.#invoke(input, (wanted) => this.#look(wanted)));
  }

  /** For one client: several at once, each for itself. What they ask of one agent in the same way is looked up and checked once. */
  submission(): (inputs: readonly InvokeInput[]) => readonly Promise<AcceptedFlight>[] {
    const { clock, self } = this.#parts;
    const looks = new SharedLooks({ look: (input) => this.#look(input), clock, isHere: ({ nodeId }) => nodeId === self.nodeId });
    const look = (input: InvokeInput): Promise<Looked> => looks.of(input);
    return (inputs) => inputs.map((input) => this.measured(() => this.#invoke(input, look)));
  }

  /** Counts how it ends. */
  measured<Accepted extends AcceptedFlight | AcceptedGroup>(accept: () => Promise<Accepted>): Promise<Accepted> {
    const { measures, clock } = this.#parts;
    return measures === undefined ? accept() : measured(measures, clock, accept);
  }

  async #invoke(input: InvokeInput, look: (input: InvokeInput) => Promise<Looked>): Promise<AcceptedFlight> {
    const payloadHash = this.checked(input);
    const known = this.known(input, payloadHash);
    if (known !== undefined) return { flight: known, deduplicated: true };
    const { target, link } = await look(input);
    const planned = this.planned(input, target, link);
    const { invocation, plan } = planned;
    const { flight, deduplicated } = await this.write((shared) => this.#parts.store.write.accept({ ...shared, invocation, plan }), input, payloadHash);
    if (deduplicated) return { flight, deduplicated };
    this.launched(input, flight, planned);
    return { flight, deduplicated, ...this.notesOn(input) };
  }

  async #look(input: InvokeInput): Promise<Looked> {
    const target = await this.#parts.resolver.one(input.selector);
    return { target, link: await this.check(input, target) };
  }

  /** @returns what its key stands for: the request as typed; nothing without a key. @throws what is wrong with it, whatever its target */
  checked(input: InvokeInput): string {
    const refusal = this.#parts.refusal();
    if (refusal !== undefined) throw refusal;
    checkTaskSize(input.task);
    if (input.key === undefined) return '';
    checkKey(input.key);
    return this.#hashOf(input);
  }

  /** All that can be wrong with one target. @returns the link by which it goes at once */
  async check(input: InvokeInput, target: Candidate): Promise<Link | undefined> {
    this.#checkChain(input, target);
    const flaw = this.#parts.sessions.flawOf(input.session, target.harness);
    if (flaw !== undefined) throw flaw;
    await this.#checkAvailable(target);
    return this.#linkTo(target, input.noHold);
  }

  /** As things are now: to be written at once. */
  planned(input: InvokeInput, target: Candidate, link: Link | undefined, groupId?: GroupId): Planned {
    return { invocation: this.#invocationOf(input, target, groupId), plan: this.#planFor(target, link), link };
  }

  /**
   * @param count of invocations that are stored
   * @throws BrokerError `overload` when more is being stored already than this node keeps in memory, `conflict` when the caller's root has led to too many
   */
  async write<Result>(accept: (shared: Omit<AcceptInput, 'invocation' | 'plan'>) => Promise<Result>, input: InvokeInput, payloadHash: string, count = 1): Promise<Result> {
    const { key, task, caller } = input;
    const giveBack = this.#descendants.take(caller.flight?.ancestry.rootId, count);
    try {
      return await this.#intake.during(taskBytes(task), () => {
        const stamp = this.#parts.chronicler.stamp();
        return accept({ stamp, task, payloadHash, ...(key === undefined ? {} : { key }), ...(this.#isWatched(input) ? { notify: true } : {}) });
      });
    } catch (thrown) {
      giveBack();
      throw thrown;
    }
  }

  /** It is durable, and new. */
  launched(input: InvokeInput, flight: Flight, { invocation, plan, link }: Planned): void {
    this.#parts.onDeadline(flight);
    if (this.#isWatched(input)) this.#parts.onWatched(flight);
    if (plan.kind === 'local') this.#parts.runner.wake(flight.target);
    else this.#parts.outbox.accepted(flight, plan.kind === 'send' ? link : undefined, !input.noHold, { invocation, task: input.task });
  }

  notesOn({ notify }: InvokeInput): { readonly notes?: readonly string[] } {
    const { unable } = this.#parts.notifier;
    return notify === true && unable !== undefined ? { notes: [unable] } : {};
  }

  #isWatched({ notify }: InvokeInput): boolean {
    return notify === true || this.#parts.wishes?.notifyAll === true;
  }

  #invocationOf(input: InvokeInput, target: Candidate, groupId: GroupId | undefined): Invocation {
    const id = invocationIdOf(this.#parts.ulids.next());
    const limits: Limits = {
      holdMs: input.holdMs ?? defaultHoldMs,
      totalMs: Math.max(defaultTotalMs, input.holdMs ?? 0),
      ...(input.runLimitMs === undefined ? {} : { runMs: input.runLimitMs }),
      ...(input.idleLimitMs === undefined ? {} : { idleMs: input.idleLimitMs }),
    };
    return {
      id,
      originNodeId: this.#parts.self.nodeId,
      caller: input.caller.id,
      addressTyped: input.addressTyped ?? input.selector.address,
      target: target.address,
      ownerNodeId: target.nodeId as Invocation['ownerNodeId'],
      session: input.session,
      limits,
      rerunnable: input.rerunnable,
      ancestry: ancestryOf(id, input.caller.flight),
      ...(input.redriveOf === undefined ? {} : { redriveOf: input.redriveOf }),
      ...(groupId === undefined ? {} : { groupId }),
      ...this.#parts.traces.begin(input.trace ?? input.caller.flight?.trace, id, groupId),
      acceptedAtMs: this.#parts.clock.now(),
    };
  }

  /** An agent that asks for itself by way of others would never end. */
  #checkChain({ caller }: InvokeInput, target: Candidate): void {
    if (caller.flight === undefined) return;
    const flaw = flawOfChain(target.address, ancestryOf(caller.flight.invocationId, caller.flight));
    if (flaw !== undefined) throw flaw;
  }

  /** The first flight of the key, whatever has become of its agent. */
  known(input: InvokeInput, payloadHash: string): Flight | undefined {
    if (input.key === undefined) return undefined;
    const { read } = this.#parts.store;
    const keyed = read.keyed(input.caller.id, input.key);
    if (keyed === undefined) return undefined;
    if (keyed.payloadHash !== payloadHash) {
      throw conflict(`the key ${JSON.stringify(input.key)} was used for another request (${keyed.invocationId})`, 'take another key for another request');
    }
    return read.flight(flightOfInvocation(keyed.invocationId));
  }

  /** The request as typed: address, task, files, session, and whether it is for all that match. */
  #hashOf({ selector, task, session }: InvokeInput): string {
    const files = task.files.flatMap((file) => [file.name, file.bytes]);
    return this.#parts.digest([selector.address, task.text, session.mode, session.mode === 'named' ? session.name : '', ...files, ...(selector.all ? ['all'] : [])]);
  }

  async #checkAvailable(target: Candidate): Promise<void> {
    const { store, self } = this.#parts;
    if (target.nodeState === 'incompatible') {
      throw new BrokerError('incompatible', `${target.nodeName} speaks another version of the protocol`, { hint: `see which: beckon peers` });
    }
    let { available, unavailableWhy: why } = target;
    if (target.nodeId === self.nodeId) {
      const endpoint = store.read.endpoint(target.address);
      if (endpoint !== undefined) ({ available, why } = await this.#parts.checks.check(endpoint));
      if (available !== target.available) this.#parts.onDoubt(target.address);
    }
    if (available) return;
    throw new BrokerError('unavailable', `${target.address} can't run: ${why ?? 'its node says it is not available'}`, {
      hint: `see what it needs: beckon agent show ${shellAddress(parseAddress(target.address))}`,
      candidates: [{ address: target.address, ...(why === undefined ? {} : { why }) }],
    });
  }

  async #linkTo(target: Candidate, noHold: boolean): Promise<Link | undefined> {
    const nodeId = target.nodeId as Invocation['ownerNodeId'];
    if (nodeId === this.#parts.self.nodeId) return undefined;
    const mesh = this.#parts.mesh();
    const link = mesh.link(nodeId);
    if (link !== undefined && noHold && this.#parts.outbox.isDraining(link)) throw unavailable(drainingWords(target.nodeName), 'leave --no-hold out to have it wait for that node');
    if (link !== undefined) return link;
    // Only nobody has needed one until now: then it is there in a moment.
    const made = await mesh.want(nodeId);
    if (made !== undefined || !noHold) return made;
    const dialled = await mesh.dialNow(nodeId, dialMs);
    if (dialled !== undefined) return dialled;
    const peer = mesh.peers().find((each) => each.nodeId === nodeId);
    throw unavailable(`${target.nodeName} can't be reached${peer === undefined ? '' : ` (${peer.why})`}`, 'leave --no-hold out to have it wait for that node');
  }

  #planFor(target: Candidate, link: Link | undefined): AcceptPlan {
    const { self, sessions, runner } = this.#parts;
    if (target.nodeId === self.nodeId) return { kind: 'local', queueLimit: usualQueueLimit, retryAfterMs: runner.retryAfterMs(target.address), ...sessions.of(target.address, self.owner()) };
    const heldLimit = this.#parts.wishes?.heldLimit ?? usualHeldLimit;
    const isLive = link !== undefined && link === this.#parts.mesh().link(link.peer.nodeId);
    if (isLive && this.#parts.outbox.isDraining(link)) return { kind: 'defer', reason: 'agent_offline', detail: drainingWords(target.nodeName), heldLimit };
    if (isLive && !this.#parts.outbox.hasRoom(link)) return { kind: 'defer', reason: 'overload', detail: `much is on its way to ${target.nodeName} already`, heldLimit };
    if (isLive) return { kind: 'send', attemptId: attemptIdOf(this.#parts.ulids.next()) };
    return { kind: 'defer', reason: 'peer_unreachable', detail: `${target.nodeName} is not reachable now`, heldLimit };
  }
}
