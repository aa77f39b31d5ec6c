/** Which distributed trace a request belongs to: W3C Trace Context, level 2 (https://www.w3.org/TR/trace-context-2/). */

export interface TraceContext {
  /** 32 lower-case hex digits, not all zero. */
  readonly traceId: string;
  /** Of the span that the next one is below, 16 lower-case hex digits; absent where the trace begins. */
  readonly parentId?: string;
  /** Bit 0: sampled, its spans are wanted. Bit 1: the trace id is random. */
  readonly flags: number;
  /** What others keep in the trace, passed on as it came. */
  readonly state?: string;
}

/** As they stand in headers, in environments and in the metadata of other protocols. */
export interface TraceHeaders {
  readonly traceparent: string;
  readonly tracestate?: string;
}

/** Names of variables, as OpenTelemetry has them ("Environment Variables as Context Propagation Carriers"). */
export const traceparentVariable = 'TRACEPARENT';
export const tracestateVariable = 'TRACESTATE';

/** What is to be passed on at least, and is at most. */
export const longestTracestate = 512;
const mostMembers = 32;
/** Longer ones go first when a state is too long. */
const longestKeptMember = 128;
/** Of what a newer version may put behind the fields of this one. */
const longestTraceparent = 256;
const knownFlags = 0x03;

const shape = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;
const noTrace = '0'.repeat(32);
const noParent = '0'.repeat(16);
const key = '(?:[a-z0-9][a-z0-9_*/@-]{0,255})';
const member = new RegExp(`^${key}=[\\x20-\\x2b\\x2d-\\x3c\\x3e-\\x7e]{0,255}[\\x21-\\x2b\\x2d-\\x3c\\x3e-\\x7e]$`);

/** Undefined for what is absent or malformed: a trace is never a reason to refuse work. A malformed or endless state is left out, or cut. */
export function parseTraceContext({ traceparent, tracestate = '' }: { readonly traceparent: string; readonly tracestate?: string | undefined }): TraceContext | undefined {
  if (traceparent.length > longestTraceparent) return undefined;
  const [, version = '', traceId = '', parentId = '', flags = '', more] = shape.exec(traceparent.trim()) ?? [];
  if (traceId === '' || version === 'ff' || (version === '00' && more !== undefined) || traceId === noTrace || parentId === noParent) return undefined;
  return { traceId, parentId, flags: Number.parseInt(flags, 16) & knownFlags, ...stateOf(tracestate) };
}

/** Undefined for a trace that begins here and has no span yet. */
export function formatTraceContext({ traceId, parentId, flags, state }: TraceContext): TraceHeaders | undefined {
  if (parentId === undefined) return undefined;
  return { traceparent: `00-${traceId}-${parentId}-${hexOf(flags)}`, ...(state === undefined ? {} : { tracestate: state }) };
}

export function isSampled({ flags }: TraceContext): boolean {
  return (flags & 1) === 1;
}

/** As variables carry it, read no further. */
export function traceIn({ [traceparentVariable]: traceparent, [tracestateVariable]: tracestate }: Readonly<Record<string, string | undefined>>): TraceHeaders | undefined {
  return traceparent === undefined ? undefined : { traceparent, ...(tracestate === undefined ? {} : { tracestate }) };
}

/** One text, for the store. */
export function writeTraceContext({ traceId, parentId = noParent, flags, state }: TraceContext): string {
  const context = `00-${traceId}-${parentId}-${hexOf(flags)}`;
  return state === undefined ? context : `${context} ${state}`;
}

/** What `writeTraceContext` wrote. */
export function readTraceContext(text: string): TraceContext {
  const [, traceId = '', parentId = '', flags = ''] = text.slice(0, 55).split('-');
  return { traceId, ...(parentId === noParent ? {} : { parentId }), flags: Number.parseInt(flags, 16), ...(text.length > 56 ? { state: text.slice(56) } : {}) };
}

function hexOf(flags: number): string {
  return flags.toString(16).padStart(2, '0');
}

/** Cut as the recommendation says: entries over 128 characters first, then those at the end. */
function stateOf(tracestate: string): { readonly state?: string } {
  // Nobody who means well sends more, and it is not read to find out.
  if (tracestate === '' || tracestate.length > 16 * longestTracestate) return {};
  const members = tracestate.split(',').map((each) => each.trim()).filter((each) => each !== '');
  const keys = new Set(members.map((each) => each.slice(0, each.indexOf('='))));
  if (members.length === 0 || members.length > mostMembers || keys.size < members.length || !members.every((each) => member.test(each))) return {};
  const isLong = (): boolean => members.join(',').length > longestTracestate;
  for (let at = members.length - 1; at >= 0 && isLong(); at -= 1) if ((members[at] ?? '').length > longestKeptMember) members.splice(at, 1);
  while (isLong()) members.pop();
  return members.length === 0 ? {} : { state: members.join(',') };
}
