/** The SDK's connection to this machine's node: calling agents, serving agents, and all that the command line can ask. */
import { decodeWorkspace, formatAddress, parseAddress } from '../domain/address.ts';
import { BrokerError, conflict, invalid } from '../domain/errors.ts';
import { flightTokenVariable } from '../domain/flight-token.ts';
import { mostConcurrency } from '../domain/serving-port.ts';
import type { ServedRun } from '../domain/serving-port.ts';
import type { AcceptedGroup, AgentSpec, FlightUpdate, InvokeAllRequest, InvokeRequest, NodeClient, StreamOptions } from './types.ts';
import { traceOfCall } from './active-trace.ts';
import { AgentServer } from './agent-server.ts';
import type { Pacing } from './backing-off.ts';
import { Call } from './call.ts';
import type { CallOptions, CallSource } from './call.ts';
import { Calls } from './calls.ts';
import { knock } from './connect.ts';
import { GrpcNodeClient } from './grpc-client.ts';
import { GroupCall } from './group-call.ts';
import { requestOf } from './invoke-options.ts';
import type { Content, InvokeAllOptions, InvokeOptions } from './invoke-options.ts';
import type { Handler, RunContext, ServeOptions, Server } from './serving.ts';
import { mostInFlight, usualInFlight } from './submission.ts';
import type { Submission, SubmitOptions, SubmitResult } from './submission.ts';
import { Submitter } from './submitter.ts';
import { flightTokenAround, systemClock, systemRandom, traceAround, usualSocketPath } from './system-surroundings.ts';

export interface BeckonOptions {
  /** The node's control socket; by default where `beckon` on the command line finds it (BECKON_HOME and all). */
  readonly socketPath?: string;
  /** By default BECKON_TOKEN of the environment: in a process of a flight, what it invokes is a child of that flight. */
  readonly flightToken?: string;
}

const usualConcurrency = 4;

/** A connection to the node of this machine. It outlives restarts of the node. What it throws is a BrokerError. */
export interface Beckon extends NodeClient, Disposable {
  /** Calls an agent: iterate for the updates, await `result()` for the end. The task may be left out. */
  invoke(address: string, task?: Content, options?: InvokeOptions): Call;
  /** The same as the command line asks it, with nothing left out, and no second try when the node goes away. */
  invoke(request: InvokeRequest, options?: StreamOptions): AsyncIterable<FlightUpdate>;
  /**
   * Calls every agent that matches: resolves when all calls are accepted, together; rejects when one can't be, and then
   * none is. Nobody is asked, however many they are.
   */
  invokeAll(address: string, task?: Content, options?: InvokeAllOptions): Promise<GroupCall>;
  /** The same as the command line asks it. */
  invokeAll(request: InvokeAllRequest): Promise<AcceptedGroup>;
  /**
   * Has many invocations accepted over one call: the result of each comes as soon as it is durable or refused, in any
   * order, and none keeps another back. Taken from the iterable only as fast as the node accepts and the results are
   * read. Restarts of the node are bridged as `invoke` does: what has a key is asked for again. Follow one with `flight`.
   * @throws BrokerError what ends all of it, or what the iterable throws
   */
  submit<Each extends Submission>(submissions: Iterable<Each> | AsyncIterable<Each>, options?: SubmitOptions): AsyncGenerator<SubmitResult<Each>, void, undefined>;
  /** A flight that was begun before, from its first update on: an id, a suffix of one, or `last`. */
  flight(id: string, options?: CallOptions): Call;
  /**
   * Makes this process an agent of this node: `name`, or `name/workspace`. Registers it if need be, and resolves when it
   * can be called. It is served over restarts of the node until it is closed.
   * @throws BrokerError `conflict` when the name belongs to an agent of another kind, or to one registered otherwise
   */
  serve(address: string, handler: Handler, options?: ServeOptions): Promise<Server>;
}

/** @throws BrokerError `unavailable` when no node runs here, `denied` when it is another user's */
export async function connect(options: BeckonOptions = {}): Promise<Beckon> {
  const socketPath = options.socketPath ?? usualSocketPath();
  await knock(socketPath);
  return new BeckonClient(socketPath, options.flightToken ?? flightTokenAround(), { clock: systemClock, random: systemRandom });
}

class BeckonClient extends GrpcNodeClient implements Beckon {
  readonly #pacing: Pacing;
  readonly #calls: Calls;
  /** What calls are read by and ended with. */
  readonly #reader: CallSource['client'];
  /** Of the environment, what may carry a trace. */
  readonly #around = traceAround();

  constructor(socketPath: string, flightToken: string | undefined, pacing: Pacing) {
    super(socketPath, () => pacing.clock.now(), flightToken);
    this.#pacing = pacing;
    const alone: Pick<NodeClient, 'invoke' | 'follow'> = { invoke: (request, options) => super.invoke(request, options), follow: (id, options) => super.follow(id, options) };
    const calls = new Calls({ open: () => this.openCalls(), client: alone, clock: pacing.clock });
    this.#calls = calls;
    this.#reader = {
      follow: (id, options = {}) => calls.follow(id, options),
      output: (id, which, options) => this.output(id, which, options),
      cancelFlight: (id, waitMs) => this.cancelFlight(id, waitMs),
      replyToFlight: (request) => this.replyToFlight(request),
    };
  }

  override invoke(address: string, task?: Content, options?: InvokeOptions): Call;
  override invoke(request: InvokeRequest, options?: StreamOptions): AsyncIterable<FlightUpdate>;
  override invoke(what: string | InvokeRequest, taskOrOptions: Content | StreamOptions = '', options: InvokeOptions = {}): Call | AsyncIterable<FlightUpdate> {
    if (typeof what === 'string') return this.#call(this.#calls, what, isContent(taskOrOptions) ? taskOrOptions : '', options, this.#around);
    return super.invoke(what, isContent(taskOrOptions) ? {} : taskOrOptions);
  }

  override invokeAll(address: string, task?: Content, options?: InvokeAllOptions): Promise<GroupCall>;
  override invokeAll(request: InvokeAllRequest): Promise<AcceptedGroup>;
  override async invokeAll(what: string | InvokeAllRequest, task: Content = '', options: InvokeAllOptions = {}): Promise<GroupCall | AcceptedGroup> {
    if (typeof what !== 'string') return super.invokeAll(what);
    const { signal, detach } = options;
    if (signal?.aborted === true) throw new BrokerError('cancelled', 'aborted before it was invoked', { cause: signal.reason });
    const { groupId, deduplicated, flights } = await super.invokeAll({ ...requestOf(what, task, options, process.cwd(), traceOfCall(options.trace, this.#around)), confirmed: true });
    const how = { ...(signal === undefined ? {} : { signal }), ...(detach === undefined ? {} : { detach }) };
    return new GroupCall(groupId, deduplicated, new Map(flights.map(({ id, target }) => [target, this.flight(id, how)])));
  }

  submit<Each extends Submission>(submissions: Iterable<Each> | AsyncIterable<Each>, options: SubmitOptions = {}): AsyncGenerator<SubmitResult<Each>, void, undefined> {
    const { inFlight = usualInFlight } = options;
    if (!Number.isInteger(inFlight) || inFlight < 1 || inFlight > mostInFlight) throw invalid(`1 to ${mostInFlight} may be on their way at once, not ${inFlight}`);
    return new Submitter({ open: async () => (await this.ready(), this.openSubmit()), pacing: this.#pacing, around: this.#around }, submissions, options).results();
  }

  flight(id: string, options: CallOptions = {}): Call {
    return new Call({ client: this.#reader, pacing: this.#pacing, begin: (signal) => this.#calls.follow(id, { signal }), mayRepeat: true }, options);
  }

  async serve(address: string, handler: Handler, options: ServeOptions = {}): Promise<Server> {
    const { concurrency = usualConcurrency, onError = () => undefined } = options;
    if (!Number.isInteger(concurrency) || concurrency < 1 || concurrency > mostConcurrency) {
      throw invalid(`a process takes 1 to ${mostConcurrency} runs at once, not ${concurrency}`);
    }
    const { agent, workspace } = parseAddress(await this.#register(address, options));
    const local = formatAddress({ agent, ...(workspace === undefined ? {} : { workspace }) });
    const invokeIn = (run: ServedRun): RunContext['invoke'] => this.#invokeIn(run);
    const server = new AgentServer({ client: this, pacing: this.#pacing, address: local, handler, concurrency, invokeIn, onError });
    await server.listed;
    return server;
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #call(asking: { invoke(request: InvokeRequest, options: StreamOptions): AsyncIterable<FlightUpdate> }, address: string, task: Content, options: InvokeOptions, around: Readonly<Record<string, string>>): Call {
    const request = requestOf(address, task, options, process.cwd(), traceOfCall(options.trace, around));
    const begin = (signal: AbortSignal): AsyncIterable<FlightUpdate> => asking.invoke(request, { signal });
    return new Call({ client: this.#reader, pacing: this.#pacing, begin, mayRepeat: request.key !== undefined }, options);
  }

  /** Asked for as the flight, so that the child is known for one; read and ended as this process, which may outlive the flight. */
  #invokeIn({ environment }: ServedRun): RunContext['invoke'] {
    const token = environment[flightTokenVariable];
    const asking = token === undefined ? this.#calls : this.inFlight(token);
    return (address, task = '', options = {}) => this.#call(asking, address, task, options, environment);
  }

  /** @returns the agent's address */
  async #register(text: string, options: ServeOptions): Promise<string> {
    const { agent, node, workspace } = parseAddress(text);
    if (node !== undefined) await this.#checkNode(node);
    const { cwd = process.cwd(), visibility = 'mesh', description = '', labels = {}, capabilities = [], isDefault = false } = options;
    const spec: AgentSpec = {
      ...{ name: agent, harness: 'attached', cwd, permissions: 'ask', isolate: false, env: [], argv: [], path: '' },
      ...{ visibility, description, labels, capabilities, isDefault },
      ...(workspace === undefined ? {} : { workspace: decodeWorkspace(workspace) }),
    };
    try {
      return (await this.addAgent(spec)).agent.registration.address;
    } catch (thrown) {
      if (!(thrown instanceof BrokerError) || thrown.code !== 'conflict') throw thrown;
      return this.#known(options, thrown);
    }
  }

  async #checkNode(node: string): Promise<void> {
    const { name, nodeId } = await this.status();
    if (node !== name && node !== nodeId) throw conflict(`an agent is served at its own node: this one is ${name}, not ${node}`);
  }

  /** It is there, and was not registered just so: where it lives does not matter, what others see of it does. */
  async #known(options: ServeOptions, thrown: BrokerError): Promise<string> {
    const address = thrown.detail?.['address'];
    if (address === undefined) throw thrown;
    const { registration } = await this.getAgent(address);
    if (registration.harness !== 'attached') throw conflict(`${address} is not an attached agent: its harness is ${registration.harness}`, thrown.hint);
    const differs = (['description', 'visibility', 'isDefault', 'labels', 'capabilities'] as const).find((key) => options[key] !== undefined && !isAlike(options[key], registration[key]));
    if (differs !== undefined) throw conflict(`${address} is registered with another ${differs}`, thrown.hint);
    return address;
  }
}

function isContent(value: Content | StreamOptions): value is Content {
  return typeof value === 'string' || value instanceof Uint8Array;
}

function isAlike(a: unknown, b: unknown): boolean {
  const sorted = (value: unknown): unknown => (isRecord(value) ? Object.entries(value).toSorted(([one], [other]) => (one < other ? -1 : 1)) : value);
  return JSON.stringify(sorted(a)) === JSON.stringify(sorted(b));
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
