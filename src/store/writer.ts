/** The writes of the port, asked of the writer's thread. */
import type { FlightEvent } from '../domain/flight-event.ts';
import type { Task } from '../domain/invocation.ts';
import type { StoreWrites } from '../domain/store-port.ts';
import { newFlight } from './new-flight.ts';
import type { Input, Wire, WriteName } from './protocol.ts';
import type { WorkerChannel } from './worker-channel.ts';

/** What crosses to another thread is copied with the whole buffer that it is a view of. */
class Parcel {
  readonly transfers: ArrayBuffer[] = [];
  /** What the records around the bytes take, about. */
  size = 512;

  /** A copy that is a buffer of its own: the caller's stays whole, and may be used again at once. */
  pack(bytes: Uint8Array): Uint8Array {
    this.size += bytes.length;
    const copy = new Uint8Array(bytes);
    if (copy.length >= leastTransfer) this.transfers.push(copy.buffer);
    return copy;
  }

  packTask({ text, files }: Task): Task {
    return { text: this.pack(text), files: files.map(({ name, bytes }) => ({ name, bytes: this.pack(bytes) })) };
  }

  packEvent(event: FlightEvent): FlightEvent {
    const { body } = event;
    return body.kind === 'output' ? { ...event, body: { ...body, bytes: this.pack(body.bytes) } } : event;
  }
}

/** Handing a buffer over costs more than copying a few bytes. */
const leastTransfer = 16 * 1024;

export function writerOver(channel: WorkerChannel): StoreWrites {
  const send = <Name extends WriteName>(name: Name, input: Input<Name>, parcel = new Parcel()): Promise<Wire<Name>> =>
    channel.ask(name, input, parcel.size, parcel.transfers) as Promise<Wire<Name>>;
  const plain = <Name extends WriteName>(name: Name) => (input: Input<Name>): Promise<Wire<Name>> => send(name, input);
  return {
    boot: plain('boot'),
    rolledBack: plain('rolledBack'),
    settleQuarantined: plain('settleQuarantined'),
    prune: plain('prune'),
    note: plain('note'),
    async accept(input) {
      const parcel = new Parcel();
      const known = await send('accept', { ...input, task: parcel.packTask(input.task) }, parcel);
      const { invocation, plan, stamp } = input;
      return known === undefined
        ? { flight: newFlight(invocation, plan.kind === 'local', stamp.atMs), deduplicated: false }
        : { flight: known, deduplicated: true };
    },
    async receive(input) {
      const parcel = new Parcel();
      const known = await send('receive', { ...input, task: parcel.packTask(input.task) }, parcel);
      if (known === 'cancelled') return known;
      return known === undefined ? { flight: newFlight(input.invocation, true, input.stamp.atMs), fresh: true } : { flight: known, fresh: false };
    },
    beginAttempt: plain('beginAttempt'),
    loseAttempts: plain('loseAttempts'),
    defer: plain('defer'),
    receipt: plain('receipt'),
    reject: plain('reject'),
    endAtOrigin: plain('endAtOrigin'),
    async applyEvents(input) {
      const parcel = new Parcel();
      const answer = await send('applyEvents', { ...input, events: input.events.map((each) => parcel.packEvent(each)) }, parcel);
      if (answer === undefined) return undefined;
      // The first event of a seq is the one that was taken.
      const applied = answer.applied.map((seq) => input.events.find((event) => event.seq === seq));
      return { flight: answer.flight, applied: applied.filter((event) => event !== undefined) };
    },
    requestCancel: plain('requestCancel'),
    start: plain('start'),
    recordProcess: plain('recordProcess'),
    async appendOutput({ flightId, chunks }) {
      const parcel = new Parcel();
      const packed = chunks.map((chunk) => ({ ...chunk, bytes: parcel.pack(chunk.bytes) }));
      const first = await send('appendOutput', { flightId, chunks: packed }, parcel);
      return chunks.map(({ stream, bytes, stamp }, index): FlightEvent => ({
        seq: first + index, atMs: stamp.atMs, hlc: stamp.hlc, body: { kind: 'output', stream, bytes },
      }));
    },
    finish: plain('finish'),
    ask: plain('ask'),
    giveReply: plain('giveReply'),
    receiveReply: plain('receiveReply'),
    settleReply: plain('settleReply'),
    timeOutRequest: plain('timeOutRequest'),
    receiveCancel: plain('receiveCancel'),
    acknowledged: plain('acknowledged'),
    recover: plain('recover'),
    addAgent: plain('addAgent'),
    removeAgent: plain('removeAgent'),
    setAvailability: plain('setAvailability'),
    saveRegistry: plain('saveRegistry'),
    saveMembership: plain('saveMembership'),
    replaceOwnChain: plain('replaceOwnChain'),
    renameNode: plain('renameNode'),
    leaveMesh: plain('leaveMesh'),
    renameMember: plain('renameMember'),
    saveIssuer: plain('saveIssuer'),
    saveDepartures: plain('saveDepartures'),
    addInvite: plain('addInvite'),
    redeemInvite: plain('redeemInvite'),
    admitMember: plain('admitMember'),
    recordApplicant: plain('recordApplicant'),
    addAdmitRules: plain('addAdmitRules'),
    saveMembers: plain('saveMembers'),
    saw: plain('saw'),
  };
}
