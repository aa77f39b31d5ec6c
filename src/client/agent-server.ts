/** A process that serves one agent: the connection to the node, made again for as long as it serves, and the runs over it. */
import { randomUUID } from 'node:crypto';
import { notFound, toBrokerError } from '../domain/errors.ts';
import type { BrokerError } from '../domain/errors.ts';
import type { FlightId } from '../domain/ids.ts';
import { reconnectMs } from '../domain/serving-port.ts';
import type { FromServer, RunKey, ServedRun, ToServer } from '../domain/serving-port.ts';
import { fromCall } from '../rpc/status.ts';
import { decodeToServer, encodeAttach } from '../rpc/serving.ts';
import { BackingOff } from './backing-off.ts';
import type { Pacing } from './backing-off.ts';
import { asOurs } from './grpc-client.ts';
import type { GrpcNodeClient } from './grpc-client.ts';
import type { Handler, RunContext, Server } from './serving.ts';
import { ServeStream } from './serve-stream.ts';
import { RunInProcess } from './served-run.ts';

export interface AgentServerParts {
  readonly client: GrpcNodeClient;
  readonly pacing: Pacing;
  /** Without a node: this one's may be renamed while it is down. */
  readonly address: string;
  readonly handler: Handler;
  readonly concurrency: number;
  /** Calls as a process of that run makes them. */
  readonly invokeIn: (run: ServedRun) => RunContext['invoke'];
  readonly onError: (error: unknown, context: RunContext) => void;
}

export class AgentServer implements Server {
  readonly closed: Promise<void>;
  readonly #parts: AgentServerParts;
  readonly #id = randomUUID();
  readonly #runs = new Map<FlightId, RunInProcess>();
  readonly #listed = Promise.withResolvers<void>();
  readonly #backingOff: BackingOff;
  /** Aborted when it is not to come back any more. */
  readonly #leaving = new AbortController();
  #stream: ServeStream | undefined;
  #isAttached = false;
  #wasAttached = false;
  #isDraining = false;
  #removed: BrokerError | undefined;
  #address: string;

  constructor(parts: AgentServerParts) {
    this.#parts = parts;
    this.#address = parts.address;
    this.#backingOff = new BackingOff(parts.pacing);
    this.closed = this.#serve();
    // Whoever waits for it sees it.
    this.closed.catch((error: unknown) => this.#listed.reject(error));
  }

  get address(): string {
    return this.#address;
  }

  get running(): number {
    return this.#runs.size;
  }

  /** Resolves when the node lists the agent as available. @throws BrokerError why it can't be served */
  get listed(): Promise<void> {
    return this.#listed.promise;
  }

  async close(): Promise<void> {
    this.#drain();
    await this.closed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #drain(): void {
    if (this.#isDraining) return;
    this.#isDraining = true;
    this.#send({ type: 'drain' });
    this.#leaveIfDone();
  }

  async #serve(): Promise<void> {
    while (!this.#leaving.signal.aborted) {
      try {
        await this.#connection();
      } catch (thrown) {
        const error = toBrokerError(asOurs(fromCall(thrown)));
        if (!passes(error) || !this.#wasAttached) throw this.#endRuns(error);
        // The node does not wait for longer, and somebody waits here.
        if (this.#isDraining && this.#backingOff.forMs > reconnectMs) throw this.#endRuns(error);
      }
      if (!this.#leaving.signal.aborted) await this.#backingOff.wait(this.#leaving.signal);
    }
    if (this.#removed !== undefined) throw this.#removed;
  }

  async #connection(): Promise<void> {
    const stream = new ServeStream(this.#parts.client.openServe());
    this.#stream = stream;
    try {
      const runs = [...this.#runs.values()].map(({ key }) => key);
      const { address, concurrency } = this.#parts;
      stream.attach(encodeAttach({ address, serverId: this.#id, concurrency, runs }));
      for await (const frames of stream.frames()) {
        for (const frame of frames) {
          const message = decodeToServer(frame);
          if (message !== undefined) this.#receive(message);
        }
      }
    } finally {
      this.#isAttached = false;
      this.#stream = undefined;
      stream.cancel();
    }
  }

  #receive(message: ToServer): void {
    switch (message.type) {
      case 'attached':
        return this.#attached(message.address, message.runs);
      case 'listed':
        return this.#listed.resolve();
      case 'start':
        return this.#start(message.run);
      case 'removed':
        this.#removed = notFound(`${this.#address} is not registered any more`, 'serve it again to have it back');
        return this.#drain();
      case 'closed':
        this.#find(message.key)?.receive(message);
        this.#forget(message.key);
        return this.#leaveIfDone();
      case 'stop':
      case 'answer':
      case 'stored':
        return this.#find(message.key)?.receive(message);
    }
  }

  #attached(address: string, runs: readonly (RunKey & { readonly received: number })[]): void {
    this.#address = address;
    this.#isAttached = true;
    this.#wasAttached = true;
    this.#backingOff.worked();
    if (this.#isDraining) this.#send({ type: 'drain' });
    for (const each of runs) this.#find(each)?.resume(each.received);
    this.#leaveIfDone();
  }

  #start(run: ServedRun): void {
    if (this.#runs.has(run.flightId)) return;
    const { handler, invokeIn, onError } = this.#parts;
    const send = (message: FromServer): void => this.#send(message);
    this.#runs.set(run.flightId, new RunInProcess({ address: this.#address, handler, invoke: invokeIn(run), send, onError }, run));
  }

  #find({ flightId, run }: RunKey): RunInProcess | undefined {
    const found = this.#runs.get(flightId);
    return found?.key.run === run ? found : undefined;
  }

  #forget(key: RunKey): void {
    if (this.#find(key) !== undefined) this.#runs.delete(key.flightId);
  }

  #send(message: FromServer): void {
    if (this.#isAttached) this.#stream?.send(message);
  }

  #leaveIfDone(): void {
    if (!this.#isDraining || this.#runs.size > 0) return;
    this.#leaving.abort();
    this.#stream?.end();
  }

  #endRuns(error: BrokerError): BrokerError {
    for (const run of this.#runs.values()) run.stop(error.message);
    this.#runs.clear();
    return error;
  }
}

/** What another try may mend. */
function passes({ code }: BrokerError): boolean {
  return code === 'unavailable' || code === 'overload' || code === 'deadline' || code === 'cancelled' || code === 'internal';
}
