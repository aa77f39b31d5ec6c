/** Nodes of other versions, through the real wire: what they may say, and what becomes of it. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { MeshIdentity } from '../../src/domain/trust.ts';
import { DataRequest, GoodbyeReason } from '../../src/gen/beckon/v1/mesh.ts';
import { FailureReason } from '../../src/gen/beckon/v1/record.ts';
import type { FlightState, OutputStream, ReplyKind, SessionMode } from '../../src/gen/beckon/v1/record.ts';
import { encodeForward } from '../../src/mesh/control-frames.ts';
import { protocol } from '../../src/mesh/version.ts';
import { encodeFlight } from '../../src/rpc/records.ts';
import { testMesh } from '../contract/trust/mesh-fixture.ts';
import { waitFor } from '../support/wait-for.ts';
import * as samples from '../unit/rpc/samples.ts';
import { HandMade, hello } from './hand-made.ts';
import { forwardOf, newInvocationId, someHlc, TestNode } from './session-fixture.ts';

describe('a node of another version', () => {
  test.each([-1, 1])('%i minor version apart works as any other', async (apart) => {
    await using authority = await testMesh();
    await using laptop = await new TestNode(await authority.member('laptop')).start();
    const identity = await authority.member('desktop');
    using peer = new HandMade(identity, laptop.address);
    peer.hello({ protocolMinor: protocol.minor + apart, features: ['nobody.knows.this'], version: '0.9.0' });
    await laptop.becomes({ identity }, 'alive');
    const invocationId = newInvocationId();
    peer.send({ $case: 'cancel', value: { invocationId, hlc: someHlc } });
    await waitFor('its message', () => laptop.messages.length === 1);
    expect(laptop.mesh.peers()).toMatchObject([{ name: 'desktop', version: '0.9.0' }]);
  });

  test.each([
    ['a newer major', { protocolMajor: 2, protocolMinor: 0 }, '2.0', 'laptop'],
    ['an older major', { protocolMajor: 0, protocolMinor: 9 }, '0.9', 'desktop'],
    ['two minors newer', { protocolMajor: protocol.major, protocolMinor: protocol.minor + 2 }, `${protocol.major}.${protocol.minor + 2}`, 'laptop'],
  ])('%s is refused by name, with the remedy', async (_what, version, spoken, behind) => {
    await using authority = await testMesh();
    await using laptop = await new TestNode(await authority.member('laptop')).start();
    const identity = await authority.member('desktop');
    using peer = new HandMade(identity, laptop.address);
    peer.hello({ ...version, version: '9.1.0' });
    const { reason, detail } = await peer.goodbye();
    expect(reason).toBe(GoodbyeReason.INCOMPATIBLE);
    expect(detail).toBe(
      `desktop runs Beckon 9.1.0 (protocol ${spoken}), laptop runs 0.0.0-test (protocol ${protocol.major}.${protocol.minor}): update Beckon on ${behind}`,
    );
    expect(laptop.mesh.peers()).toMatchObject([{ name: 'desktop', state: 'incompatible', why: detail }]);
  });

  test('is asked nothing that it would not understand', async () => {
    await using authority = await testMesh();
    await using laptop = await new TestNode(await authority.member('laptop')).start();
    const identity = await authority.member('desktop');
    using peer = new HandMade(identity, laptop.address);
    peer.hello({ protocolMinor: protocol.minor - 1, features: [] });
    const link = await laptop.linkTo({ identity });
    const questions = [{ type: 'reach', nodeId: identity.nodeId }, { type: 'find', suffix: '8Q2X' }, { type: 'facts', limit: 1, hlc: someHlc }, { type: 'report', sinceMs: 0 }] as const;
    for (const question of questions) await expect(link.ask(question, 1000)).rejects.toMatchObject({ code: 'incompatible', hint: 'update Beckon on desktop' });
    expect(peer.frames.filter(({ $case }) => $case === 'query')).toEqual([]);
  });
});

describe('what only a newer version knows', () => {
  async function pair() {
    const authority = await testMesh();
    const laptop = await new TestNode(await authority.member('laptop')).start();
    const identity: MeshIdentity = await authority.member('desktop');
    const peer = new HandMade(identity, laptop.address);
    peer.hello({ protocolMinor: protocol.minor + 1 });
    const link = await laptop.linkTo({ identity });
    const data = peer.nameData(hello.sessionId);
    const dispose = async (): Promise<void> => {
      peer[Symbol.dispose]();
      await laptop[Symbol.asyncDispose]();
      await authority[Symbol.asyncDispose]();
    };
    return { laptop, peer, link, identity, data, [Symbol.asyncDispose]: dispose };
  }
  const state = 44 as FlightState;

  test('a kind of frame is skipped, on either stream, and what comes after it is not', async () => {
    await using made = await pair();
    const { laptop, peer, data } = made;
    const frame = Buffer.from([0xca, 0x3e, 0x02, 0x08, 0x01]);
    const unknown = Buffer.concat([Buffer.from([0x0a, frame.length]), frame]);
    peer.control.write(unknown);
    data.write(unknown);
    peer.send({ $case: 'cancel', value: { invocationId: newInvocationId(), hlc: someHlc } });
    data.write(Buffer.from(DataRequest.encode({ frames: [{ frame: { $case: 'flightEvents', value: { invocationId: newInvocationId(), receivedAtMs: 1, events: [] } } }] }).finish()));
    await waitFor('the messages after it', () => laptop.messages.length === 2);
  });

  test('a reason, a state, an event and an end are read as the nearest that is true', async () => {
    await using made = await pair();
    const { laptop, peer, data, link } = made;
    const invocationId = newInvocationId();
    peer.send(
      { $case: 'reject', value: { invocationId, reason: 99 as FailureReason, error: { code: 99 as never, message: 'moon phase', hint: '', candidates: [], detail: {} }, hlc: someHlc } },
      { $case: 'syncReply', value: { items: [{ invocationId, state, run: 1, lastSeq: 3 }] } },
    );
    const event = (seq: number, body: object) => ({ seq, atMs: 1, hlc: someHlc, body: body as never });
    const events = [
      event(1, { $case: 'output', value: { stream: 9 as OutputStream, content: Buffer.from('x') } }),
      { seq: 2, atMs: 1, hlc: someHlc, body: undefined },
      event(3, { $case: 'waiting', value: { reason: 9, request: 'r', prompt: 'p', choices: [], untilMs: 5 } }),
      event(4, { $case: 'finished', value: { state, signal: '' } }),
    ];
    data.write(Buffer.from(DataRequest.encode({ frames: [{ frame: { $case: 'flightEvents', value: { invocationId, receivedAtMs: 1, events } } }] }).finish()));
    await waitFor('all of it', () => laptop.messages.length === 3);
    const unknown = { kind: 'unknown' };
    expect(laptop.messages).toMatchObject([
      { type: 'reject', reason: 'peer_rejected', error: { message: 'moon phase' } },
      { type: 'sync_reply', items: [{ state: 'running' }] },
      {
        type: 'flight_events',
        events: [
          { seq: 1, body: unknown },
          { seq: 2, body: unknown },
          { seq: 3, body: { kind: 'waiting', reason: 'input' } },
          { seq: 4, body: { kind: 'finished', state: 'indeterminate', error: { code: 'incompatible', hint: 'update Beckon on this machine' } } },
        ],
      },
    ]);
    expect(link.isUp).toBe(true);
  });

  test('work that can not be understood is rejected by name, small or in pieces, and the session goes on', async () => {
    await using made = await pair();
    const { laptop, peer, data, link, identity } = made;
    const desktop = { identity } as TestNode;
    const session = { mode: 44 as SessionMode, name: '' };
    const small = encodeForward(forwardOf(desktop, laptop, Buffer.from('x')));
    const large = encodeForward(forwardOf(desktop, laptop, Buffer.from('x')), 5);
    const ids = [small, large].map((frame) => {
      if (frame.$case !== 'forward' || frame.value.invocation === undefined) throw new Error('no forward');
      frame.value.invocation.session = session;
      peer.send(frame);
      return frame.value.invocation.id;
    });
    const rejects = await waitFor('both to be rejected', () => {
      const found = peer.frames.flatMap((frame) => (frame.$case === 'reject' ? [frame.value] : []));
      return found.length === 2 ? found : undefined;
    });
    expect(rejects.map(({ invocationId }) => invocationId)).toEqual(ids);
    for (const { reason, error } of rejects) {
      expect(reason).toBe(FailureReason.INCOMPATIBLE);
      expect(error).toMatchObject({ message: 'laptop runs Beckon 0.0.0-test: session mode 44 is not known to this version of Beckon', hint: 'update Beckon on laptop' });
    }
    // The task of the one that was announced in pieces is dropped where it comes.
    const piece = { invocationId: ids[1] ?? '', offset: 0, content: Buffer.from('12345') };
    data.write(Buffer.from(DataRequest.encode({ frames: [{ frame: { $case: 'taskPiece', value: piece } }] }).finish()));
    peer.send({ $case: 'cancel', value: { invocationId: ids[1] ?? '', hlc: someHlc } });
    await waitFor('what comes after', () => laptop.messages.length === 1);
    expect(link.isUp).toBe(true);
  });

  test('a reply of an unknown kind gets an outcome that says so', async () => {
    await using made = await pair();
    const { peer, link } = made;
    const invocationId = newInvocationId();
    peer.send({ $case: 'reply', value: { invocationId, request: 'req', kind: 9 as ReplyKind, text: '', by: 'uid:1', hlc: someHlc } });
    const outcome = await waitFor('an outcome', () => peer.frames.find((frame) => frame.$case === 'replyOutcome')?.value);
    expect(outcome).toMatchObject({ invocationId, request: 'req', error: { hint: 'update Beckon on laptop' } });
    expect(link.isUp).toBe(true);
  });

  test('an answer with an unknown state fails its question alone', async () => {
    await using made = await pair();
    const { peer, link } = made;
    const asked = link.ask({ type: 'flights', filter: {}, limit: 1 }, 5000);
    const { number } = await waitFor('the question', () => peer.frames.find((frame) => frame.$case === 'query')?.value);
    const [sample] = fc.sample(samples.flight, { numRuns: 1, seed: 1 });
    if (sample === undefined) throw new Error('no sample');
    peer.send({ $case: 'answer', value: { number, error: undefined, answer: { $case: 'flights', value: { flights: [{ ...encodeFlight(sample), state }], next: '' } } } });
    await expect(asked).rejects.toMatchObject({ code: 'incompatible' });
    expect(link.isUp).toBe(true);
  });

  test('a question gets an answer that says so', async () => {
    await using made = await pair();
    const { peer, link } = made;
    peer.send({ $case: 'query', value: { number: 7, query: undefined } });
    const answer = await waitFor('an answer', () => peer.frames.find((frame) => frame.$case === 'answer')?.value);
    expect(answer).toMatchObject({ number: 7, error: { message: 'this node does not know that question' } });
    expect(link.isUp).toBe(true);
  });
});
