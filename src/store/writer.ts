/** The writes of the port, asked of the writer's thread. */
import { contentBytes } from '../domain/flight-event.ts';
import type { FlightEvent } from '../domain/flight-event.ts';
import { newFlight, startedFlight } from '../domain/new-flight.ts';
import type { Task } from '../domain/invocation.ts';
import { sizeOfProgress } from '../domain/progress.ts';
import type { RunChunk, StoreWrites } from '../domain/store-port.ts';
import { packAccept } from './packed-accept.ts';
import { eventOfChunk } from './flight-events.ts';
import type { Hold } from './parcel.ts';
import type { Input, Sent, Wire, WriteName } from './protocol.ts';
import type { WorkerChannel } from './worker-channel.ts';

/** A request and how much it holds. */
class Parcel {
  readonly #hold: Hold;
  /** What the records around the bytes take, about. */
  size = 512;

  constructor(hold: Hold) {
    this.#hold = hold;
  }

  pack(bytes: Uint8Array): Uint8Array {
    this.size += bytes.length;
    return this.#hold.copy(bytes);
  }

  packTask({ text, files }: Task): Task {
    return { text: this.pack(text), files: files.map(({ name, bytes }) => ({ name, bytes: this.pack(bytes) })) };
  }

  packChunk(chunk: RunChunk): RunChunk {
    if ('bytes' in chunk) return { ...chunk, bytes: this.pack(chunk.bytes) };
    this.size += sizeOfProgress(chunk.progress);
    return chunk;
  }

  packEvent(event: FlightEvent): FlightEvent {
    const { body } = event;
    if (body.kind === 'output') return { ...event, body: { ...body, bytes: this.pack(body.bytes) } };
    this.size += contentBytes(body);
    return event;
  }
}

export function writerOver(channel: WorkerChannel): StoreWrites {
  const parcelOf = (): Parcel => new Parcel(channel.hold);
  const send = <Name extends WriteName>(name: Name, input: Sent<Name>, parcel = parcelOf()): Promise<Wire<Name>> =>
    channel.ask(name, input, parcel.size) as Promise<Wire<Name>>;
  const plain = <Name extends Exclude<WriteName, 'accept'>>(name: Name) => (input: Input<Name>): Promise<Wire<Name>> => send(name, input as Sent<Name>);
  return {
    boot: plain('boot'),
    rolledBack: plain('rolledBack'),
    settleQuarantined: plain('settleQuarantined'),
    prune: plain('prune'),
    note: plain('note'),
    audit: plain('audit'),
    async accept(input) {
      const parcel = parcelOf();
      const known = await send('accept', packAccept(input, parcel.packTask(input.task)), parcel);
      const { invocation, plan, stamp } = input;
      if (typeof known === 'object') return { flight: known, deduplicated: true };
      return { flight: newFlight(invocation, { isOwned: plan.kind === 'local', atMs: stamp.atMs, sessionId: known }), deduplicated: false };
    },
    async acceptAll(input) {
      const parcel = parcelOf();
      const packed = { ...input, task: parcel.packTask(input.task) };
      parcel.size *= input.members.length;
      const answer = await send('acceptAll', packed, parcel);
      if ('known' in answer) return answer;
      return { flights: input.members.map(({ invocation, plan }, index) => newFlight(invocation, { isOwned: plan.kind === 'local', atMs: input.stamp.atMs, sessionId: answer.sessions[index] })) };
    },
    async receive(input) {
      const parcel = parcelOf();
      const answer = await send('receive', { ...input, task: parcel.packTask(input.task) }, parcel);
      if (answer === 'cancelled') return answer;
      if ('known' in answer) return { flight: answer.known, fresh: false };
      const { stamp: { atMs }, originOwner } = input;
      const flight = newFlight(input.invocation, { isOwned: true, atMs, sessionId: answer.session, originOwner });
      return { flight: answer.isStarted ? startedFlight(flight, atMs) : flight, fresh: true };
    },
    beginAttempt: plain('beginAttempt'),
    loseAttempts: plain('loseAttempts'),
    defer: plain('defer'),
    receipt: plain('receipt'),
    reject: plain('reject'),
    endAtOrigin: plain('endAtOrigin'),
    async applyEvents(input) {
      const parcel = parcelOf();
      const answer = await send('applyEvents', { ...input, events: input.events.map((each) => parcel.packEvent(each)) }, parcel);
      if (answer === undefined) return undefined;
      // The first event of a seq is the one that was taken.
      const applied = answer.applied.map((seq) => input.events.find((event) => event.seq === seq));
      return { flight: answer.flight, applied: applied.filter((event) => event !== undefined) };
    },
    requestCancel: plain('requestCancel'),
    start: plain('start'),
    notified: plain('notified'),
    recordProcess: plain('recordProcess'),
    forgetProcesses: plain('forgetProcesses'),
    bindSession: plain('bindSession'),
    async appendOutput({ flightId, chunks }) {
      const parcel = parcelOf();
      const packed = chunks.map((chunk) => parcel.packChunk(chunk));
      const first = await send('appendOutput', { flightId, chunks: packed }, parcel);
      return chunks.map((chunk, index) => eventOfChunk(chunk, first + index));
    },
    async finish(input) {
      const parcel = parcelOf();
      const last = (input.last ?? []).map((chunk) => parcel.packChunk(chunk));
      return send('finish', { ...input, last }, parcel);
    },
    ask: plain('ask'),
    giveReply: plain('giveReply'),
    receiveReply: plain('receiveReply'),
    settleReply: plain('settleReply'),
    timeOutRequest: plain('timeOutRequest'),
    settleWorktree: plain('settleWorktree'),
    receiveCancel: plain('receiveCancel'),
    acknowledged: plain('acknowledged'),
    recover: plain('recover'),
    giveUp: plain('giveUp'),
    addAgent: plain('addAgent'),
    removeAgent: plain('removeAgent'),
    shareAgent: plain('shareAgent'),
    unshareAgent: plain('unshareAgent'),
    setAvailability: plain('setAvailability'),
    saveProject: plain('saveProject'),
    putInstance: plain('putInstance'),
    forgetProject: plain('forgetProject'),
    saveRegistry: plain('saveRegistry'),
    saveMembership: plain('saveMembership'),
    replaceOwnChain: plain('replaceOwnChain'),
    renameNode: plain('renameNode'),
    leaveMesh: plain('leaveMesh'),
    renameMember: plain('renameMember'),
    renewMember: plain('renewMember'),
    saveIssuer: plain('saveIssuer'),
    addIssuer: plain('addIssuer'),
    becomeIssuer: plain('becomeIssuer'),
    saveDepartures: plain('saveDepartures'),
    saveRevocations: plain('saveRevocations'),
    addInvite: plain('addInvite'),
    redeemInvite: plain('redeemInvite'),
    admitMember: plain('admitMember'),
    recordApplicant: plain('recordApplicant'),
    addAdmitRules: plain('addAdmitRules'),
    saveMembers: plain('saveMembers'),
    saw: plain('saw'),
    probe: () => send('probe', undefined),
  };
}
