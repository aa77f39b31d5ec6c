/** The call `Serve`: a process attaches to one agent of this node, and takes and gives frames until it or the node leaves. */
import type { handleBidiStreamingCall, ServerDuplexStream } from '@grpc/grpc-js';
import type { BrokerApi, LocalCaller } from '../broker/api.ts';
import { conflict, invalid, unavailable } from '../domain/errors.ts';
import type { Attach, ServedAgents, Serving, ToServer } from '../domain/serving-port.ts';
import { ControlServiceService } from '../gen/beckon/v1/control.ts';
import { ServeResponse } from '../gen/beckon/v1/serving.ts';
import type { NodeFrame, ServeRequest } from '../gen/beckon/v1/serving.ts';
import { ByReferenceWriter } from '../rpc/by-reference.ts';
import { buffer, required } from '../rpc/fields.ts';
import { duplex, failure } from '../rpc/handler.ts';
import type { Edge } from '../rpc/handler.ts';
import { decodeAttach, decodeFromServer, encodeToServer } from '../rpc/serving.ts';
import { TurnWriter } from '../rpc/turn-writer.ts';

type ServeStream = ServerDuplexStream<ServeRequest, ServeResponse>;

/** Of tasks, roughly, in one message; a larger one goes alone. */
const batchBytes = 1024 * 1024;
const largeBytes = 256 * 1024;

export interface ServeParts {
  readonly api: Pick<BrokerApi, 'getAgent'>;
  readonly served: ServedAgents;
  readonly edge: Edge<LocalCaller>;
  /** Aborted when the node stops: who serves is told, and comes back. */
  readonly stopping: AbortSignal;
}

export function serveHandler(parts: ServeParts): handleBidiStreamingCall<ServeRequest, ServeResponse> {
  return duplex(parts.edge, (_caller, call) => {
    void new ServeCall(parts, call).run();
  });
}

/** As generated, but that a large task is copied once on its way out. */
export const serveService = {
  ...ControlServiceService.serve,
  responseSerialize: (value: ServeResponse): Buffer => {
    if (value.frames.every((frame) => sizeOf(frame) < largeBytes)) return ControlServiceService.serve.responseSerialize(value);
    return buffer(ServeResponse.encode(value, new ByReferenceWriter()).finish());
  },
};

class ServeCall {
  readonly #parts: ServeParts;
  readonly #call: ServeStream;
  readonly #writer: TurnWriter<ServeResponse>;
  #waiting: NodeFrame[] = [];
  #isOver = false;

  constructor(parts: ServeParts, call: ServeStream) {
    this.#parts = parts;
    this.#call = call;
    this.#writer = new TurnWriter(call, { next: () => this.#next() });
  }

  /** Never rejects. */
  async run(): Promise<void> {
    const { stopping } = this.#parts;
    const stop = (): void => this.#fail(unavailable('this node is stopping', 'connect again when it is back'));
    const call = this.#call;
    // Whatever ends it also ends the reading below; what it failed with is the other side's to know.
    call.on('cancelled', () => this.#over());
    call.on('error', () => this.#over());
    stopping.addEventListener('abort', stop, { once: true });
    let serving: Serving | undefined;
    try {
      if (stopping.aborted) return stop();
      // Destroyed, it could not carry the error that it is to end with.
      const requests = call.iterator({ destroyOnReturn: false }) as AsyncIterable<ServeRequest>;
      for await (const { attach, frames } of requests) {
        if (this.#isOver) break;
        if (serving === undefined) serving = await this.#attach(decodeAttach(required(attach, 'attach')));
        else if (attach !== undefined) throw invalid('a process attaches once a connection');
        for (const frame of frames) serving.receive(decodeFromServer(frame));
      }
      this.#over();
      call.end();
    } catch (thrown) {
      this.#fail(thrown);
    } finally {
      stopping.removeEventListener('abort', stop);
      serving?.lost();
    }
  }

  /** @throws BrokerError `not_found`, `ambiguous`, `conflict` for an agent that is not attached here */
  async #attach(attach: Attach): Promise<Serving> {
    const { registration, endpoint, nodeName } = await this.#parts.api.getAgent(attach.address);
    const { address, harness } = registration;
    if (endpoint === undefined) throw conflict(`${address} belongs to ${nodeName}: an agent is served at its own node`);
    if (harness !== 'attached') throw conflict(`${address} is not an attached agent: its harness is ${harness}`, 'take another name, or remove that agent first');
    return this.#parts.served.attach({ ...attach, address }, { send: (message) => this.#send(message), close: (error) => this.#fail(error) });
  }

  /** What is said in one turn of the event loop shares a message. */
  #send(message: ToServer): void {
    if (this.#isOver) return;
    this.#waiting.push(encodeToServer(message));
    this.#writer.flushSoon();
  }

  #next(): ServeResponse | undefined {
    if (this.#isOver || this.#waiting.length === 0) return undefined;
    let bytes = 0;
    let count = 0;
    for (const frame of this.#waiting) {
      bytes += sizeOf(frame);
      if (count > 0 && bytes > batchBytes) break;
      count += 1;
    }
    return { frames: this.#waiting.splice(0, count) };
  }

  #fail(thrown: unknown): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#call.emit('error', failure(this.#parts.edge, thrown, this.#call.getPath()));
  }

  #over(): void {
    this.#isOver = true;
  }
}

function sizeOf({ frame }: NodeFrame): number {
  if (frame?.$case !== 'start') return 0;
  const { text = Buffer.alloc(0), files = [] } = frame.value.task ?? {};
  return files.reduce((sum, file) => sum + file.content.length, text.length);
}
