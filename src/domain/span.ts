/** A span of a distributed trace, and where spans go. */

export type SpanKind = 'internal' | 'producer' | 'consumer';

/** By OpenTelemetry's semantic conventions, and below `beckon.` what those have no word for. */
export type SpanAttributes = Readonly<Record<string, string | number>>;

export interface SpanEvent {
  readonly name: string;
  readonly atMs: number;
  readonly attributes: SpanAttributes;
}

export interface Span {
  readonly traceId: string;
  /** 16 lower-case hex digits. The same for the same step, however often it is told. */
  readonly spanId: string;
  readonly parent?: { readonly spanId: string; readonly isRemote: boolean };
  readonly flags: number;
  readonly state?: string;
  readonly name: string;
  readonly kind: SpanKind;
  /** This node's wall clock. */
  readonly startMs: number;
  readonly endMs: number;
  readonly attributes: SpanAttributes;
  readonly events: readonly SpanEvent[];
  readonly isError: boolean;
}

export type SpanDelivery =
  | { readonly type: 'taken' }
  /** They will never be taken as they are. */
  | { readonly type: 'refused'; readonly why: string }
  /** Later, perhaps. */
  | { readonly type: 'failed'; readonly why: string };

export interface SpanSink {
  /** Where to, for people: no path, no password. */
  readonly host: string;
  /** Never rejects, and takes a bounded time. One call at a time. */
  deliver(spans: readonly Span[]): Promise<SpanDelivery>;
  close(): Promise<void>;
}
