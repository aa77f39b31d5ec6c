/** A BrokerApi in memory: flights play the script that their task names. */
import type { AgentSpec, AgentView, BrokerApi, FlightDetail, FlightUpdate, InvokeInput, LocalCaller, NodeStatus, ReplyInput, ResolveResult, Selector } from '../../src/broker/api.ts';
import { BrokerError, conflict, notFound } from '../../src/domain/errors.ts';
import type { ErrorCode } from '../../src/domain/errors.ts';
import type { Fact } from '../../src/domain/event.ts';
import type { FlightEventBody, Outcome } from '../../src/domain/flight-event.ts';
import { isTerminal } from '../../src/domain/flight.ts';
import { asMeshId, attemptIdOf, eventIdOf, flightOfInvocation, invocationIdOf, parseIdArgument, ulidOf } from '../../src/domain/ids.ts';
import type { FlightId } from '../../src/domain/ids.ts';
import type { Delivery, Flight, Page, PageRequest } from '../../src/domain/records.ts';
import type { AgentFilter } from '../../src/domain/agent-filter.ts';
import type { AdmitRule } from '../../src/domain/admit-rule.ts';
import { FakeGroups } from './fake-groups.ts';
import { agentView, deliveryOf, desktop, encode, fakeApplicants, fakeMembers, fakeStatus, hlc, laptop, startMs } from './fake-records.ts';
import { FakeProjects } from './fake-projects.ts';
import { FakeWork } from './fake-work.ts';

export { desktop, laptop } from './fake-records.ts';

interface Played {
  flight: Flight;
  readonly updates: FlightUpdate[];
  readonly input: InvokeInput;
  wake: () => void;
  changed: Promise<void>;
}

export class FakeBroker extends FakeGroups implements BrokerApi {
  readonly invoked: InvokeInput[] = [];
  readonly specs: AgentSpec[] = [];
  readonly ruled: AdmitRule[] = [];
  readonly joined: string[] = [];
  readonly made: string[] = [];
  readonly cancelled: string[] = [];
  readonly replies: { readonly request: string; readonly reply: ReplyInput['reply']; readonly by: string }[] = [];
  candidates: ResolveResult['candidates'] = [{ address: '@fabric@laptop#main', chosen: true, why: 'the only one' }];
  onShutdown: (force: boolean) => void = () => undefined;
  /** Streams being read, and updates taken from them, over all. */
  following = 0;
  pulled = 0;
  /** False: the owner never answers a cancel or a reply. */
  answersCancel = true;
  /** Processes of flights, by their token. */
  readonly callers = new Map<string, LocalCaller>();
  /** Ids that are theirs, as asked for. */
  readonly family = new Set<string>();
  readonly work = new FakeWork();
  readonly projects = new FakeProjects();
  readonly scanProjects: BrokerApi['scanProjects'] = (input) => this.projects.scan(input);
  readonly approveProjects: BrokerApi['approveProjects'] = (input) => this.projects.approve(input);
  readonly forgetProject: BrokerApi['forgetProject'] = (root) => this.projects.forget(root);
  readonly readDiff: BrokerApi['readDiff'] = (id) => this.work.diff(id);
  readonly settleWorktree: BrokerApi['settleWorktree'] = (input) => this.work.settle(input);
  readonly #flights = new Map<FlightId, Played>();
  readonly #byKey = new Map<string, FlightId>();
  #count = 0;

  flightCaller(token: string): LocalCaller {
    const caller = this.callers.get(token);
    if (caller === undefined) throw new BrokerError('unauthenticated', 'no such token');
    return caller;
  }

  async checkFamily(_caller: unknown, id: string): Promise<void> {
    if (!this.family.has(id)) throw new BrokerError('denied', `${id} is not of the family`);
  }

  async status(): Promise<NodeStatus> {
    this.check();
    const counts: Record<string, number> = {};
    for (const { flight } of this.#flights.values()) counts[flight.state] = (counts[flight.state] ?? 0) + 1;
    if (this.removed === undefined) return { ...fakeStatus, flights: counts };
    const { mesh: _left, ...rest } = fakeStatus;
    return { ...rest, flights: counts, removed: this.removed };
  }

  async shutdown(force: boolean): Promise<{ pid: number; running: number }> {
    this.check();
    this.onShutdown(force);
    return { pid: 4242, running: force ? 0 : 2 };
  }

  async addAgent(spec: AgentSpec): Promise<{ agent: AgentView; added: boolean }> {
    this.check();
    this.specs.push(spec);
    return { agent: agentView(spec.name ?? 'fabric', spec), added: this.specs.length === 1 };
  }

  async removeAgent(address: string): Promise<{ address: string; heldFailed: number }> {
    this.check();
    return { address, heldFailed: 2 };
  }

  async getAgent(address: string): Promise<AgentView> {
    this.check();
    if (!address.includes('fabric')) throw notFound(`no agent ${address}`, 'list them: beckon agents');
    return agentView('fabric', this.specs[0]);
  }

  async listAgents(filter: AgentFilter, page: PageRequest): Promise<Page<AgentView>> {
    this.check();
    this.agentFilters.push(filter);
    const items = this.specs.map((spec) => agentView(spec.name ?? 'fabric', spec)).slice(0, page.limit);
    return items.length < this.specs.length ? { items, next: 'cursor1' } : { items };
  }

  async resolve(selector: Selector): Promise<ResolveResult> {
    this.check();
    const chosen = this.candidates.filter((each) => each.chosen).map((each) => each.address);
    const error = chosen.length > 0 ? undefined : { code: 'not_found' as const, message: `no agent matches ${selector.address}`, hint: 'list them: beckon agents' };
    return { targets: chosen, candidates: this.candidates, ...(error === undefined ? {} : { error }) };
  }

  async invoke(input: InvokeInput): Promise<{ flight: Flight; deduplicated: boolean }> {
    this.check();
    const known = input.key === undefined ? undefined : this.#byKey.get(input.key);
    if (known !== undefined) return { flight: this.#played(known).flight, deduplicated: true };
    this.invoked.push(input);
    this.#count += 1;
    const id = invocationIdOf(`01J9Z6M3T4V8Q2X7K5B1C0${String(this.#count).padStart(4, '0')}`);
    const flight: Flight = {
      id: flightOfInvocation(id),
      invocationId: id,
      target: this.target,
      originNodeId: laptop,
      ownerNodeId: desktop,
      caller: input.caller.id,
      state: 'queued',
      run: 0,
      lastSeq: 0,
      rerunnable: input.rerunnable,
      limits: { holdMs: 1000, totalMs: 2000 },
      holdUntilMs: startMs + 1000,
      totalUntilMs: startMs + 2000,
      acceptedAtMs: startMs,
      stdoutBytes: 0,
      stderrBytes: 0,
    };
    const played: Played = { flight, updates: [], input, wake: () => undefined, changed: Promise.resolve() };
    this.#arm(played);
    this.#flights.set(flight.id, played);
    if (input.key !== undefined) this.#byKey.set(input.key, flight.id);
    this.#play(played, new TextDecoder().decode(input.task.text));
    return { flight, deduplicated: false };
  }

  async *follow(flightId: FlightId, options: { afterSeq: number; deduplicated: boolean; signal: AbortSignal }): AsyncIterable<FlightUpdate> {
    const played = this.#played(flightId);
    const { invocationId, target } = played.flight;
    yield { type: 'accepted', atMs: startMs, invocationId, flightId, target, deduplicated: options.deduplicated };
    this.following += 1;
    try {
      yield* this.#steps(played, options.afterSeq, options.signal);
    } finally {
      this.following -= 1;
    }
  }

  async *#steps(played: Played, afterSeq: number, signal: AbortSignal): AsyncIterable<FlightUpdate> {
    const aborted = new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
    for (let at = 0; !signal.aborted; ) {
      const update = played.updates[at];
      if (update === undefined) {
        await Promise.race([played.changed, aborted]);
        continue;
      }
      at += 1;
      this.pulled += 1;
      if (update.type === 'event' && update.event.seq <= afterSeq) continue;
      yield update;
      if (update.type === 'finished') return;
    }
  }

  async findFlight(idArgument: string): Promise<Flight> {
    this.check();
    return this.#found(idArgument).flight;
  }

  async listFlights(_filter: object, page: PageRequest): Promise<Page<Flight>> {
    this.check();
    const all = [...this.#flights.values()].map(({ flight }) => flight).reverse();
    const start = page.after === undefined ? 0 : Number(page.after);
    const items = all.slice(start, start + page.limit);
    return start + page.limit < all.length ? { items, next: String(start + page.limit) } : { items };
  }

  async getFlight(idArgument: string): Promise<FlightDetail> {
    this.check();
    const { flight, input } = this.#found(idArgument);
    const output = this.#outputOf(flight.id, 'stdout');
    return {
      flight,
      delivery: deliveryOf(flight),
      invocation: {
        id: flight.invocationId,
        originNodeId: flight.originNodeId,
        caller: flight.caller,
        addressTyped: input.selector.address,
        target: flight.target,
        ownerNodeId: flight.ownerNodeId,
        session: input.session,
        limits: flight.limits,
        rerunnable: flight.rerunnable,
        ancestry: { rootId: flight.invocationId, depth: 0, path: [] },
        acceptedAtMs: flight.acceptedAtMs,
      },
      output: output.subarray(0, 65_536),
      truncated: output.length > 65_536,
      originName: 'laptop',
      ownerName: 'desktop',
    };
  }

  async *output(flightId: FlightId, stream: 'stdout' | 'stderr'): AsyncIterable<Uint8Array> {
    const all = this.#outputOf(flightId, stream);
    for (let at = 0; at < all.length; at += 10_000) yield all.subarray(at, at + 10_000);
  }

  async cancelFlight(idArgument: string): Promise<{ flight: Flight; confirmed: boolean }> {
    this.check();
    const played = this.#found(idArgument);
    if (isTerminal(played.flight.state)) throw conflict(`the flight is ${played.flight.state} already`);
    this.cancelled.push(played.flight.id);
    if (!this.answersCancel) return { flight: played.flight, confirmed: false };
    this.#finish(played, { state: 'cancelled', ended: 3 });
    return { flight: played.flight, confirmed: true };
  }

  async replyToFlight({ id, request, reply, by }: ReplyInput): ReturnType<BrokerApi['replyToFlight']> {
    this.check();
    const played = this.#found(id);
    const { waiting, ...rest } = played.flight;
    if (waiting === undefined) throw conflict('it waits for nothing now');
    this.replies.push({ request: request ?? waiting.request, reply, by });
    if (!this.answersCancel) return { flight: played.flight, request: waiting.request, confirmed: false };
    played.flight = { ...rest, state: 'running' };
    this.#event(played, { kind: 'resumed' });
    this.#finish(played, { state: 'completed', exitCode: 0 });
    return { flight: played.flight, request: waiting.request, confirmed: true };
  }

  async listWaiting(): ReturnType<BrokerApi['listWaiting']> {
    this.check();
    const waiting = [...this.#flights.values()].filter(({ flight }) => flight.state === 'waiting').map(({ flight }) => ({ flight, nodeId: laptop, nodeName: 'laptop' }));
    return { waiting, gaps: [{ nodeId: desktop, nodeName: 'desktop', why: 'it is not reachable' }] };
  }

  async redriveDelivery({ id, confirmed }: Parameters<BrokerApi['redriveDelivery']>[0]): ReturnType<BrokerApi['redriveDelivery']> {
    this.check();
    const { input, flight } = this.#found(id);
    if (!confirmed) throw conflict(`it is ${flight.state} and may have run`, 'beckon delivery redrive ID --yes');
    return this.invoke({ ...input, redriveOf: flight.invocationId });
  }

  async listDeliveries(_filter: object, page: PageRequest): Promise<Page<Delivery>> {
    this.check();
    return { items: [...this.#flights.values()].map(({ flight }) => deliveryOf(flight)).slice(0, page.limit) };
  }

  async getDelivery(idArgument: string): ReturnType<BrokerApi['getDelivery']> {
    const { flight } = this.#found(idArgument);
    const delivery = deliveryOf(flight);
    return { delivery, attempts: [{ id: attemptIdOf(ulidOf(flight.id)), deliveryId: delivery.id, number: 1, startedAtMs: startMs, endedAtMs: startMs + 5, outcome: 'received', why: '' }] };
  }

  async trace(idArgument: string): ReturnType<BrokerApi['trace']> {
    const { id: flightId, invocationId, target } = this.#found(idArgument).flight;
    const id = eventIdOf(ulidOf(flightId));
    const fact: Fact = { id, nodeId: laptop, what: 'invocation.accepted', invocationId, peerNodeId: desktop, detail: { target }, atMs: startMs, hlc };
    return { invocationId, entries: [{ fact, nodeName: 'laptop', peerName: 'desktop' }], gaps: [{ nodeId: desktop, nodeName: 'desktop', why: 'it is unreachable', sinceMs: startMs, unknown: ['whether it was received'] }], parties: [{ nodeId: laptop, nodeName: 'laptop', isOrigin: true, isOwner: false }] };
  }

  async backup(...[path, tell]: Parameters<BrokerApi['backup']>): ReturnType<BrokerApi['backup']> {
    this.check();
    tell?.({ step: 'copy', done: 1024, total: 4096 });
    return { path, bytes: 4096, schemaVersion: 1, epoch: startMs, agents: 1, members: 2, flights: { completed: 3 } };
  }

  async createMesh(input: { name?: string }): ReturnType<BrokerApi['createMesh']> {
    this.check();
    this.made.push(input.name ?? 'home');
    return { meshId: asMeshId('mesh1'), name: input.name ?? 'home', owner: 'ada', nodeName: 'laptop' };
  }

  async createInvite(input: { ttlMs?: number }): ReturnType<BrokerApi['createInvite']> {
    return { token: 'bkn1.token', expiresAtMs: startMs + (input.ttlMs ?? 60_000), addresses: ['127.0.0.1:7423'] };
  }

  async joinMesh(token: string): ReturnType<BrokerApi['joinMesh']> {
    this.check();
    this.joined.push(token);
    return { meshId: asMeshId('mesh1'), meshName: 'home', nodeName: 'laptop', owner: 'ada' };
  }

  async members(): ReturnType<BrokerApi['members']> {
    return fakeMembers;
  }

  async pending(): ReturnType<BrokerApi['pending']> {
    return fakeApplicants;
  }

  readonly admit: BrokerApi['admit'] = ({ rules }) => (this.ruled.push(...rules), Promise.resolve({ rules }));

  #played(id: FlightId): Played {
    const played = this.#flights.get(id);
    if (played === undefined) throw notFound(`no flight ${id}`);
    return played;
  }

  #found(idArgument: string): Played {
    const argument = parseIdArgument(idArgument);
    const all = [...this.#flights.values()];
    const end = argument.kind === 'last' ? '' : argument.kind === 'id' ? argument.ulid : argument.suffix;
    const found = all.findLast(({ flight }) => ulidOf(flight.id).endsWith(end));
    if (found === undefined) throw notFound(`nothing here has the id ${idArgument}`, 'list them: beckon flights');
    return found;
  }

  #outputOf(id: FlightId, stream: 'stdout' | 'stderr'): Uint8Array {
    const { updates } = this.#played(id);
    const bodies = updates.flatMap((update) => (update.type === 'event' ? [update.event.body] : []));
    return new Uint8Array(Buffer.concat(bodies.flatMap((body) => (body.kind === 'output' && body.stream === stream ? [body.bytes] : []))));
  }

  #arm(played: Played): void {
    played.changed = new Promise((resolve) => {
      played.wake = resolve;
    });
  }

  #tell(played: Played, update: FlightUpdate): void {
    played.updates.push(update);
    const { wake } = played;
    this.#arm(played);
    wake();
  }

  #event(played: Played, body: FlightEventBody): void {
    const seq = played.flight.lastSeq + 1;
    played.flight = { ...played.flight, lastSeq: seq };
    this.#tell(played, { type: 'event', atMs: startMs + seq, event: { seq, atMs: startMs + seq, hlc, body } });
  }

  #finish(played: Played, outcome: Outcome): void {
    this.#event(played, { kind: 'finished', ...outcome });
    played.flight = { ...played.flight, ...outcome, finishedAtMs: startMs + 500, verdictBy: 'owner' };
    const all = this.#outputOf(played.flight.id, 'stdout');
    this.#tell(played, { type: 'finished', atMs: startMs + 500, flight: played.flight, output: all.subarray(0, 65_536), truncated: all.length > 65_536 });
  }

  #start(played: Played): void {
    played.flight = { ...played.flight, state: 'running', run: 1, receivedAtMs: startMs + 1, startedAtMs: startMs + 2 };
    this.#tell(played, { type: 'received', atMs: startMs + 1, nodeId: desktop, nodeName: 'desktop' });
    this.#event(played, { kind: 'started', run: 1 });
  }

  /** `echo TEXT`, `exit N`, `signal NAME`, `error CODE`, `end STATE`, `held`, `hang TEXT`, `ask REASON PROMPT`, `bytes HEX…`, `big N`, `tell JSON`. */
  #play(played: Played, script: string): void {
    const [verb = '', ...rest] = script.split(' ');
    const words = rest.join(' ');
    const print = (bytes: Uint8Array, stream: 'stdout' | 'stderr' = 'stdout'): void => this.#event(played, { kind: 'output', stream, bytes });
    if (verb === 'held') {
      this.#tell(played, { type: 'held', atMs: startMs, why: 'laptop is unreachable', untilMs: startMs + 1000 });
      if (words === 'forever') return;
    }
    if (verb === 'end') return this.#finish(played, { state: words as Outcome['state'] });
    this.#start(played);
    switch (verb) {
      case 'hang':
        return print(encode(`working\n${words}`));
      case 'ask': {
        const [reason, ...prompt] = rest;
        const asked = { reason: reason === 'input' ? 'input' : 'approval', request: `req_${ulidOf(played.flight.id)}`, prompt: prompt.join(' '), choices: ['once'], untilMs: startMs + 600_000 } as const;
        played.flight = { ...played.flight, state: 'waiting', waiting: { ...asked, sinceMs: startMs } };
        return this.#event(played, { kind: 'waiting', ...asked });
      }
      case 'exit':
        print(encode('on stderr\n'), 'stderr');
        return this.#finish(played, { state: words === '0' ? 'completed' : 'failed', exitCode: Number(words) });
      case 'signal':
        return this.#finish(played, { state: 'failed', signal: words });
      case 'error':
        return this.#finish(played, { state: 'failed', error: new BrokerError(words as ErrorCode, `it failed with ${words}`).toInfo() });
      case 'bytes':
        for (const piece of rest) print(Uint8Array.from(Buffer.from(piece, 'hex')));
        break;
      case 'big':
        for (let left = Number(words); left > 0; left -= 32_768) print(new Uint8Array(Math.min(left, 32_768)).fill(0x61));
        break;
      case 'tell':
        for (const told of JSON.parse(words) as (FlightEventBody | string)[]) this.#event(played, typeof told === 'string' ? { kind: 'output', stream: 'stdout', bytes: encode(told) } : told);
        break;
      default:
        print(encode(`${words}\n`));
    }
    this.#finish(played, { state: 'completed', exitCode: 0 });
  }
}
