/**
 * Reads that need not go to the file: of flights that were written a moment ago, and of what seldom changes. Only what a
 * write has answered is remembered, so only what is durable; whatever a write may have changed is forgotten when it is asked for.
 */
import type { FlightEvent } from '../domain/flight-event.ts';
import { flightOfInvocation } from '../domain/ids.ts';
import type { FlightId } from '../domain/ids.ts';
import type { RunChunk, StoreReads, StoreWrites } from '../domain/store-port.ts';
import { eventOfChunk } from './flight-events.ts';
import { writeNames } from './protocol.ts';
import type { Input, Result, WriteName } from './protocol.ts';
import { mostBytes, RecentFlights } from './recent-flights.ts';
import { SettledReads } from './settled-reads.ts';

/** What a write does to flights: nothing that their records show; something that its answer tells; or that it does not, to one or to all. */
type Effect = 'none' | 'told' | 'one' | 'all';

const effects: Readonly<Record<WriteName, Effect>> = {
  boot: 'all', rolledBack: 'all', settleQuarantined: 'one', prune: 'all', note: 'none', audit: 'none',
  accept: 'told', acceptAll: 'told', receive: 'told', beginAttempt: 'none', loseAttempts: 'none', defer: 'none', receipt: 'one', reject: 'one',
  endAtOrigin: 'one', applyEvents: 'told', requestCancel: 'one', notified: 'none',
  start: 'told', recordProcess: 'none', forgetProcesses: 'none', bindSession: 'none', appendOutput: 'told', finish: 'told',
  ask: 'one', giveReply: 'one', receiveReply: 'one', settleReply: 'none', timeOutRequest: 'one', settleWorktree: 'one', receiveCancel: 'one',
  acknowledged: 'none', recover: 'all', giveUp: 'one',
  addAgent: 'none', removeAgent: 'all', shareAgent: 'none', unshareAgent: 'none', setAvailability: 'none', saveProject: 'none', putInstance: 'none', forgetProject: 'all',
  saveRegistry: 'none', saveMembership: 'all', replaceOwnChain: 'none', renameNode: 'all', leaveMesh: 'all', addInvite: 'none', redeemInvite: 'none', admitMember: 'none',
  recordApplicant: 'none', addAdmitRules: 'none', saveMembers: 'none', renameMember: 'none', renewMember: 'none', saveIssuer: 'none', addIssuer: 'none', becomeIssuer: 'none', saveDepartures: 'none', saveRevocations: 'all', saw: 'none', probe: 'none',
};

/** Work comes and goes without changing who and what there is. */
const ofWork: ReadonlySet<WriteName> = new Set<WriteName>([
  'note', 'audit', 'accept', 'acceptAll', 'receive', 'beginAttempt', 'loseAttempts', 'defer', 'receipt', 'reject', 'endAtOrigin', 'applyEvents', 'requestCancel', 'notified',
  'start', 'recordProcess', 'forgetProcesses', 'bindSession', 'appendOutput', 'finish', 'ask', 'giveReply', 'receiveReply', 'settleReply', 'timeOutRequest',
  'receiveCancel', 'acknowledged', 'giveUp', 'settleQuarantined', 'probe',
]);

export function remembering(read: StoreReads, write: StoreWrites): { readonly read: StoreReads; readonly write: StoreWrites } {
  const recent = new RecentFlights();
  const settled = new SettledReads(read);
  let number = 0;
  const wrapped = writeNames.map((name) => {
    const ask = write[name] as (input: unknown) => Promise<unknown>;
    return [name, async (input: unknown): Promise<unknown> => {
      number += 1;
      const own = number;
      const effect = effects[name];
      if (effect === 'all') recent.doubtAll(own);
      if (effect === 'one') recent.doubt(own, idOf(input as { flightId?: FlightId; invocationId?: Parameters<typeof flightOfInvocation>[0] }));
      const last = effect === 'told' ? piecesOf(name, input) : [];
      const work = ask(input);
      const answer = ofWork.has(name) ? await work : await settled.changing(work);
      if (effect === 'told') noteAnswer(recent, own, { name, input, answer, last });
      return answer;
    }];
  });
  return {
    write: Object.fromEntries(wrapped) as unknown as StoreWrites,
    read: {
      ...read,
      ...settled.reads,
      flight: (id) => recent.flight(id) ?? read.flight(id),
      events: (id, afterSeq, maxBytes) => recent.events(id, afterSeq, maxBytes) ?? read.events(id, afterSeq, maxBytes),
    },
  };
}

function idOf({ flightId, invocationId }: { flightId?: FlightId; invocationId?: Parameters<typeof flightOfInvocation>[0] }): FlightId {
  return flightId ?? flightOfInvocation(invocationId ?? ('' as never));
}

interface Answered {
  readonly name: WriteName;
  readonly input: unknown;
  readonly answer: unknown;
  /** What the run said, as it was when the write was asked for. */
  readonly last: readonly RunChunk[];
}

function noteAnswer(recent: RecentFlights, number: number, { name, input, answer, last }: Answered): void {
  switch (name) {
    case 'accept': {
      const { flight, deduplicated } = answer as Result<'accept'>;
      if (!deduplicated) recent.note(number, flight, []);
      return;
    }
    case 'acceptAll': {
      const accepted = answer as Result<'acceptAll'>;
      if ('flights' in accepted) for (const flight of accepted.flights) recent.note(number, flight, []);
      return;
    }
    case 'receive': {
      const received = answer as Result<'receive'>;
      if (received === 'cancelled' || !received.fresh) return;
      const { flight } = received;
      const { atMs, hlc } = (input as Input<'receive'>).stamp;
      const session = flight.sessionId === undefined ? {} : { session: flight.sessionId };
      recent.note(number, flight, flight.state === 'queued' ? [] : [{ seq: flight.lastSeq, atMs, hlc, body: { kind: 'started', run: flight.run, ...session } }]);
      return;
    }
    case 'applyEvents': {
      const applied = answer as Result<'applyEvents'>;
      if (applied !== undefined) recent.note(number, applied.flight, applied.applied.map(kept));
      return;
    }
    case 'start': {
      const started = answer as Result<'start'>;
      if (started !== undefined) recent.note(number, started.flight, [started.event]);
      return;
    }
    case 'appendOutput':
      return noteOutput(recent, number, { input: input as Input<'appendOutput'>, events: answer as Result<'appendOutput'>, last });
    case 'finish': {
      const finished = answer as Result<'finish'>;
      if (finished === undefined) return;
      const before = recent.flight(finished.flight.id)?.lastSeq;
      // Of one that had ended its pieces are not taken.
      const isTaken = before !== undefined && before + last.length + 1 === finished.event.seq;
      recent.note(number, finished.flight, [...(isTaken ? last.map((chunk, index) => eventOfChunk(chunk, before + 1 + index)) : []), finished.event]);
      return;
    }
    default:
      return;
  }
}

/** The answer has the events and not the flight. */
function noteOutput(recent: RecentFlights, number: number, { input, events, last }: { input: Input<'appendOutput'>; events: Result<'appendOutput'>; last: readonly RunChunk[] }): void {
  const known = recent.flight(input.flightId);
  const first = events[0];
  if (known === undefined || first === undefined || first.seq !== known.lastSeq + 1) return recent.doubt(number, input.flightId);
  const sizeOf = (stream: 'stdout' | 'stderr'): number => events.reduce((sum, { body }) => sum + (body.kind === 'output' && body.stream === stream ? body.bytes.length : 0), 0);
  const flight = { ...known, lastSeq: known.lastSeq + events.length, stdoutBytes: known.stdoutBytes + sizeOf('stdout'), stderrBytes: known.stderrBytes + sizeOf('stderr') };
  recent.note(number, flight, last.map((chunk, index) => eventOfChunk(chunk, first.seq + index)));
}

/** Copies: whoever handed them over may use its memory again, and a view keeps all that it is a view of. */
function piecesOf(name: WriteName, input: unknown): readonly RunChunk[] {
  const chunks = name === 'appendOutput' ? (input as Input<'appendOutput'>).chunks : name === 'finish' ? ((input as Input<'finish'>).last ?? []) : [];
  return chunks.map((chunk) => ('bytes' in chunk ? { ...chunk, bytes: small(chunk.bytes) } : chunk));
}

function kept(event: FlightEvent): FlightEvent {
  return event.body.kind === 'output' ? { ...event, body: { ...event.body, bytes: small(event.body.bytes) } } : event;
}

function small(bytes: Uint8Array): Uint8Array {
  // As the file gives it: a buffer of its own.
  return bytes.length <= mostBytes ? Buffer.from(new Uint8Array(bytes).buffer) : bytes;
}
