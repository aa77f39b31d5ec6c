/** Arbitrary domain records, for properties. Optional texts are absent or not empty: the empty text is absence on the wire. */
import fc from 'fast-check';
import { deliveryStates, failureReasons } from '../../../src/domain/delivery.ts';
import { errorCodes } from '../../../src/domain/errors.ts';
import type { ErrorInfo } from '../../../src/domain/errors.ts';
import { eventKinds } from '../../../src/domain/event.ts';
import type { Fact } from '../../../src/domain/event.ts';
import type { FlightEvent, FlightEventBody } from '../../../src/domain/flight-event.ts';
import { flightStates, terminalFlightStates, waitingReasons } from '../../../src/domain/flight.ts';
import { encodeHlc } from '../../../src/domain/hlc.ts';
import { deliveryIdOf, eventIdOf, flightIdOf, invocationIdOf, nodeIdOfPublicKey, requestIdOf, sessionOfInvocation } from '../../../src/domain/ids.ts';
import type { Invocation, Limits, Task } from '../../../src/domain/invocation.ts';
import type { TraceContext } from '../../../src/domain/trace-context.ts';
import type { Delivery, Flight } from '../../../src/domain/records.ts';
import { stepStates } from '../../../src/domain/progress.ts';
import type { Progress } from '../../../src/domain/progress.ts';
import type { Reply } from '../../../src/domain/request.ts';
import type { Registration } from '../../../src/domain/registration.ts';
import { worktreeStates } from '../../../src/domain/worktree.ts';
import type { DiffSummary, Isolation } from '../../../src/domain/worktree.ts';

const alphabet = [...'0123456789ABCDEFGHJKMNPQRSTVWXYZ'];
const ulid = fc.array(fc.constantFrom(...alphabet), { minLength: 25, maxLength: 25 }).map((rest) => `0${rest.join('')}`);
const number = fc.nat({ max: Number.MAX_SAFE_INTEGER });
const count = fc.nat({ max: 2 ** 32 - 1 });
const text = fc.string({ unit: 'grapheme', maxLength: 40 });
const some = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 40 });
const texts = fc.dictionary(fc.string({ minLength: 1, maxLength: 10 }).filter((key) => key !== '__proto__'), text, { noNullPrototype: true });
const bytes = fc.uint8Array({ maxLength: 200 });
const optional = { requiredKeys: [] as [] };

export const invocationId = ulid.map(invocationIdOf);
export const sessionId = invocationId.map(sessionOfInvocation);
export const requestId = ulid.map(requestIdOf);
export const reply: fc.Arbitrary<Reply> = fc.oneof(
  fc.record({ kind: fc.constant('text' as const), text: fc.string() }),
  fc.record({ kind: fc.constantFrom('approved' as const, 'denied' as const) }),
);
export const nodeId = fc.uint8Array({ minLength: 32, maxLength: 32 }).map(nodeIdOfPublicKey);
export const hlc = fc.record({ ms: fc.nat({ max: 2 ** 48 - 1 }), counter: fc.nat({ max: 2 ** 16 - 1 }) }).map(encodeHlc);

const both = <A extends object, B extends object>(a: fc.Arbitrary<A>, b: fc.Arbitrary<B>) => fc.tuple(a, b).map(([left, right]) => ({ ...left, ...right }));

export const errorInfo: fc.Arbitrary<ErrorInfo> = both(
  fc.record({ code: fc.constantFrom(...errorCodes), message: text }),
  fc.record(
    {
      hint: some,
      candidates: fc.array(both(fc.record({ address: some }), fc.record({ state: some, lastSeenMs: number, why: some }, optional)), { minLength: 1, maxLength: 3 }),
      detail: texts.filter((map) => Object.keys(map).length > 0),
      retryAfterMs: count,
    },
    optional,
  ),
);

export const limits: fc.Arbitrary<Limits> = both(fc.record({ holdMs: number, totalMs: number }), fc.record({ runMs: number, idleMs: number }, optional));

export const task: fc.Arbitrary<Task> = fc.record({ text: bytes, files: fc.array(fc.record({ name: some, bytes }), { maxLength: 3 }) });

const hex = (length: number): fc.Arbitrary<string> => fc.stringMatching(new RegExp(`^[1-9a-f]{${length}}$`));
export const trace: fc.Arbitrary<TraceContext> = both(fc.record({ traceId: hex(32), parentId: hex(16), flags: fc.integer({ min: 0, max: 3 }) }), fc.record({ state: fc.constant('a=1,b@c=2') }, optional));

export const invocation: fc.Arbitrary<Invocation> = both(
  fc.record({
    id: invocationId,
    originNodeId: nodeId,
    caller: some,
    addressTyped: text,
    target: some,
    ownerNodeId: nodeId,
    session: fc.oneof(
      fc.constant({ mode: 'new' } as const),
      fc.constant({ mode: 'continue' } as const),
      some.map((name) => ({ mode: 'named', name }) as const),
    ),
    limits,
    rerunnable: fc.boolean(),
    ancestry: both(fc.record({ rootId: invocationId, depth: count, path: fc.array(some, { maxLength: 8 }) }), fc.record({ parentId: invocationId }, optional)),
    acceptedAtMs: number,
  }),
  fc.record({ redriveOf: invocationId, trace }, optional),
);

const outcome = both(
  fc.record({ state: fc.constantFrom(...terminalFlightStates) }),
  fc.record({ exitCode: fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }), error: errorInfo, ended: count, signal: some }, optional),
);
const waiting = both(
  fc.record({ reason: fc.constantFrom(...waitingReasons), request: text, prompt: text, choices: fc.array(text, { maxLength: 3 }) }),
  fc.record({ untilMs: number }, optional),
);

const step = fc.constantFrom(...stepStates);
export const progress: fc.Arbitrary<Progress> = fc.oneof(
  fc.record({ kind: fc.constant('tool' as const), call: text, title: text, tool: text, state: step }),
  fc.record({ kind: fc.constant('plan' as const), steps: fc.array(fc.record({ text, state: step }), { maxLength: 5 }) }),
  fc.record({ kind: fc.constant('diff' as const), path: text, patch: text }),
  fc.record({ kind: fc.constant('thought' as const), text }),
  fc
    .record({ inputTokens: number, outputTokens: number, contextTokens: number, contextSize: number, cost: fc.record({ amount: fc.double({ min: 0, max: 1e6, noNaN: true }).filter((each) => !Object.is(each, -0)), currency: fc.string({ maxLength: 16, unit: 'grapheme-ascii' }) }) }, optional)
    .map((usage) => ({ kind: 'usage', ...usage }) as const),
);

export const objectName = fc.stringMatching(/^[0-9a-f]{40}$/);
const worktreeStart = fc.record({ head: objectName, branch: some, dirty: number });
export const isolation: fc.Arbitrary<Isolation> = both(worktreeStart, both(fc.record({ state: fc.constantFrom(...worktreeStates) }), fc.record({ path: some }, optional)));
export const diffSummary: fc.Arbitrary<DiffSummary> = fc.record({
  head: objectName,
  dirty: number,
  tree: objectName,
  patchBytes: number,
  truncated: fc.boolean(),
  files: fc.array(both(fc.record({ path: text }), fc.record({ added: number, removed: number }, optional)), { maxLength: 4 }),
  fileCount: number,
  nested: fc.array(text, { maxLength: 3 }),
});

const body: fc.Arbitrary<FlightEventBody> = fc.oneof(
  progress,
  fc.constant({ kind: 'unknown' } as const),
  count.map((run) => ({ kind: 'started', run }) as const),
  fc.record({ kind: fc.constant('started' as const), run: count, session: sessionId, worktree: worktreeStart }, { requiredKeys: ['kind', 'run', 'worktree'] }),
  fc.record({ kind: fc.constant('started' as const), run: count, session: sessionId }),
  fc.record({ kind: fc.constant('output' as const), stream: fc.constantFrom('stdout' as const, 'stderr' as const), bytes }),
  waiting.map((rest) => ({ kind: 'waiting', ...rest }) as const),
  fc.constant({ kind: 'resumed' } as const),
  count.map((run) => ({ kind: 'requeued', run }) as const),
  outcome.map((rest) => ({ kind: 'finished', ...rest }) as const),
);
export const flightEvent: fc.Arbitrary<FlightEvent> = fc.record({ seq: fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }), atMs: number, hlc, body });

export const flight: fc.Arbitrary<Flight> = both(
  fc.record({
    id: ulid.map(flightIdOf),
    invocationId,
    target: some,
    originNodeId: nodeId,
    ownerNodeId: nodeId,
    caller: some,
    state: fc.constantFrom(...flightStates),
    run: count,
    lastSeq: number,
    rerunnable: fc.boolean(),
    limits,
    holdUntilMs: number,
    totalUntilMs: number,
    acceptedAtMs: number,
    stdoutBytes: number,
    stderrBytes: number,
  }),
  fc.record(
    {
      receivedAtMs: number,
      startedAtMs: number,
      finishedAtMs: number,
      cancelRequestedAtMs: number,
      verdictBy: fc.constantFrom('owner' as const, 'origin' as const),
      sessionId,
      exitCode: fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }),
      error: errorInfo,
      ended: count,
      signal: some,
      waiting: both(waiting, fc.record({ sinceMs: number })),
    },
    optional,
  ),
);

export const delivery: fc.Arbitrary<Delivery> = both(
  fc.record({
    id: ulid.map(deliveryIdOf),
    invocationId,
    fromNodeId: nodeId,
    toNodeId: nodeId,
    target: some,
    status: fc.constantFrom(...deliveryStates),
    attempts: count,
    createdAtMs: number,
    updatedAtMs: number,
  }),
  fc.record({ failureReason: fc.constantFrom(...failureReasons), failureDetail: some, receivedAtMs: number }, optional),
);

export const fact: fc.Arbitrary<Fact> = both(
  fc.record({ id: ulid.map(eventIdOf), atMs: number, hlc, nodeId, what: fc.constantFrom(...eventKinds), detail: texts }),
  fc.record({ invocationId, peerNodeId: nodeId }, optional),
);

export const registration: fc.Arbitrary<Registration> = both(
  fc.record({
    address: some,
    nodeId,
    harness: some,
    capabilities: fc.array(some, { maxLength: 3 }),
    labels: texts,
    visibility: fc.constantFrom('mesh' as const, 'node' as const),
    description: text,
    isDefault: fc.boolean(),
    available: fc.boolean(),
  }),
  fc.record({ unavailableWhy: some }, optional),
);
