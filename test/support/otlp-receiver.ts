/** A collector of traces: OTLP over HTTP in protobuf, read by the official definitions. */
import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import definitions from 'otlp-definitions/build/src/generated/root.js';

export interface ReceivedSpan {
  readonly traceId: string;
  readonly spanId: string;
  /** Empty: a root. */
  readonly parentSpanId: string;
  readonly name: string;
  readonly kind: string;
  readonly traceState: string;
  readonly startMs: number;
  readonly endMs: number;
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly events: readonly string[];
  readonly isError: boolean;
  readonly resource: Readonly<Record<string, unknown>>;
}

/** Answers a request in place of the collector. */
export type Answer = (response: ServerResponse, request: IncomingMessage) => void;

const message = definitions.opentelemetry.proto.collector.trace.v1.ExportTraceServiceRequest;

export class OtlpReceiver implements AsyncDisposable {
  readonly spans: ReceivedSpan[] = [];
  readonly paths = new Set<string>();
  requests = 0;
  /** Undefined: as a collector that has taken all. */
  answer: Answer | undefined;
  readonly #server: Server;

  private constructor() {
    this.#server = createServer((request, response) => {
      const pieces: Buffer[] = [];
      request.on('data', (piece: Buffer) => pieces.push(piece));
      request.on('end', () => {
        this.requests += 1;
        this.paths.add(`${request.method} ${request.url} ${request.headers['content-type']}`);
        if (this.answer !== undefined) return this.answer(response, request);
        this.spans.push(...spansIn(Buffer.concat(pieces)));
        response.writeHead(200, { 'content-type': 'application/x-protobuf' }).end();
      });
    });
  }

  static async start(answer?: Answer): Promise<OtlpReceiver> {
    const receiver = new OtlpReceiver();
    receiver.answer = answer;
    await new Promise<void>((resolve) => receiver.#server.listen(0, '127.0.0.1', resolve));
    return receiver;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Each once, however often it was told. */
  ofTrace(traceId: string): readonly ReceivedSpan[] {
    return [...new Map(this.spans.filter((span) => span.traceId === traceId).map((span) => [span.spanId, span])).values()];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }
}

interface Value {
  readonly stringValue?: string;
  readonly intValue?: number | string;
  readonly doubleValue?: number;
}

function spansIn(body: Uint8Array): ReceivedSpan[] {
  const { resourceSpans = [] } = message.toObject(message.decode(body), { longs: String, enums: String, bytes: Array }) as Record<string, any>;
  return (resourceSpans as any[]).flatMap(({ resource, scopeSpans }) =>
    (scopeSpans as any[]).flatMap(({ spans }) =>
      (spans as any[]).map((span): ReceivedSpan => ({
        traceId: hex(span.traceId),
        spanId: hex(span.spanId),
        parentSpanId: hex(span.parentSpanId ?? []),
        name: span.name,
        kind: String(span.kind).replace('SPAN_KIND_', '').toLowerCase(),
        traceState: span.traceState ?? '',
        startMs: Number(BigInt(span.startTimeUnixNano) / 1_000_000n),
        endMs: Number(BigInt(span.endTimeUnixNano) / 1_000_000n),
        attributes: attributesIn(span.attributes),
        events: (span.events ?? []).map(({ name }: { name: string }) => name),
        isError: span.status?.code === 'STATUS_CODE_ERROR',
        resource: attributesIn(resource.attributes),
      })),
    ),
  );
}

const hex = (bytes: readonly number[]): string => Buffer.from(bytes).toString('hex');

function attributesIn(pairs: readonly { readonly key: string; readonly value: Value }[] = []): Record<string, unknown> {
  return Object.fromEntries(pairs.map(({ key, value }) => [key, value.stringValue ?? (value.intValue === undefined ? value.doubleValue : Number(value.intValue))]));
}
