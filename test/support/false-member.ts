/**
 * Whoever holds a key and says what it likes with it: certificates of a mesh, real and false, and a session that speaks by hand.
 * The process of the test is the attacker; nothing of a node runs in it.
 */
import { randomBytes } from 'node:crypto';
import { createRecordSeal } from '../../src/app/record-seal.ts';
import { createSystemClock } from '../../src/app/system-clock.ts';
import { createSystemUlids } from '../../src/app/system-ulids.ts';
import { encodeHlc } from '../../src/domain/hlc.ts';
import { asMeshId, invocationIdOf } from '../../src/domain/ids.ts';
import type { InvocationId } from '../../src/domain/ids.ts';
import type { RecordSeal } from '../../src/domain/ports.ts';
import type { CertificateChain, MeshIdentity } from '../../src/domain/trust.ts';
import type { Answer, ControlFrame, FlightEvents, Forward, GoodbyeReason, Hello, Query } from '../../src/gen/beckon/v1/mesh.ts';
import { DataRequest } from '../../src/gen/beckon/v1/mesh.ts';
import type { DataFrame } from '../../src/gen/beckon/v1/mesh.ts';
import { SessionMode } from '../../src/gen/beckon/v1/record.ts';
import type { FlightEvent, Invocation } from '../../src/gen/beckon/v1/record.ts';
import { decodeErrorInfo } from '../../src/rpc/error-info.ts';
import { askToJoin, meetIssuer } from '../../src/trust/issuer-call.ts';
import { meshIdentityOf } from '../../src/trust/mesh-authority.ts';
import { generateNodeKey } from '../../src/trust/node-key.ts';
import type { NodeKey } from '../../src/trust/node-key.ts';
import { decodeToken } from '../../src/trust/token.ts';
import { HandMade } from '../integration/hand-made.ts';
import type { Told, Verdict } from './attack.ts';
import type { TestNode } from './node-process.ts';
import { waitFor } from './wait-for.ts';

const clock = createSystemClock();
const ulids = createSystemUlids(clock);
const answeredWithinMs = 10_000;

export const hlcAt = (ms: number): string => encodeHlc({ ms, counter: 0 });
export const newInvocation = (): InvocationId => invocationIdOf(ulids.next());

let machines = 0;

/** On Linux each call comes from another address of loopback: what is limited by address is not what these attacks are about. */
export function otherMachine(): { readonly localAddress?: string } {
  if (process.platform !== 'linux') return {};
  machines += 1;
  return { localAddress: `127.77.${1 + (process.pid % 250)}.${1 + (machines % 250)}` };
}

export interface FalseMemberParts {
  readonly key: NodeKey;
  readonly identity: MeshIdentity;
  readonly chain: CertificateChain;
  readonly root: Uint8Array;
}

/** A key with a certificate that the mesh gave it, in hands that mean harm. */
export class FalseMember {
  readonly key: NodeKey;
  readonly identity: MeshIdentity;
  readonly chain: CertificateChain;
  readonly root: Uint8Array;
  /** Signs as this member, for its own mesh. */
  readonly seal: RecordSeal;

  constructor({ key, identity, chain, root }: FalseMemberParts) {
    this.key = key;
    this.identity = identity;
    this.chain = chain;
    this.root = root;
    this.seal = createRecordSeal(key, () => identity.meshId);
  }

  get nodeId(): NodeKey['nodeId'] {
    return this.key.nodeId;
  }

  /** Enters as any machine does, with the token of a real invitation. */
  static async enter(token: string, name: string, key = generateNodeKey()): Promise<FalseMember> {
    const { secret, addresses } = decodeToken(token);
    const [address] = addresses;
    if (address === undefined) throw new Error('the token names no address');
    const call = { clock, ...otherMachine() };
    const known = await meetIssuer(address, call);
    const { chain, root, meshName } = await askToJoin(known, { nodeKey: key, name, secret }, call);
    return new FalseMember({ key, chain, root, identity: meshIdentityOf(key, { name: meshName, root, chain }) });
  }

  /** The same key, which signs as for another mesh. */
  forMesh(meshId: string): { readonly seal: RecordSeal } {
    return { seal: createRecordSeal(this.key, () => asMeshId(meshId)) };
  }

  /** A session that the node has taken. */
  async session(node: TestNode, changed: Partial<Hello> = {}): Promise<FalseSession> {
    const session = new FalseSession(this, node, changed);
    await session.isUp();
    return session;
  }

  /** Work for an agent as an honest node would hand it over, but for what is changed. */
  forward(to: { readonly nodeId: string; readonly address: string }, changed: Partial<Invocation> = {}, rest: Partial<Forward> = {}): Forward {
    const id = changed.id ?? newInvocation();
    const invocation: Invocation = {
      id,
      originNodeId: this.nodeId,
      caller: 'uid:0',
      addressTyped: to.address,
      target: to.address,
      ownerNodeId: to.nodeId,
      session: { mode: SessionMode.NEW, name: '' },
      limits: { holdMs: 60_000, totalMs: 120_000 },
      rerunnable: false,
      parentId: '',
      rootId: id,
      depth: 0,
      redriveOf: '',
      acceptedAtMs: clock.now(),
      ancestorTargets: [],
      traceparent: '',
      tracestate: '',
      ...changed,
    };
    return { invocation, task: { text: Buffer.from('a task of somebody else'), files: [] }, attempt: 1, hlc: hlcAt(clock.now()), ...rest };
  }
}

type Frame = NonNullable<ControlFrame['frame']>;
type Kind = Frame['$case'];
type ValueOf<K extends Kind> = Extract<Frame, { $case: K }>['value'];

/** One session, spoken by hand. */
export class FalseSession implements Disposable {
  readonly wire: HandMade;
  readonly #sessionId: Buffer;
  #data: ReturnType<HandMade['nameData']> | undefined;
  #asked = 1000;
  readonly #events: FlightEvents[] = [];

  constructor({ identity }: Pick<FalseMember, 'identity'>, node: Pick<TestNode, 'place'>, changed: Partial<Hello> = {}) {
    this.wire = new HandMade(identity, node.place.listen);
    const sessionId = randomBytes(16);
    this.wire.hello({ epoch: clock.now(), bootNonce: randomBytes(16), sessionId, nowMs: clock.now(), hlc: hlcAt(clock.now()), ...changed });
    this.#sessionId = changed.sessionId ?? sessionId;
  }

  get isOver(): boolean {
    return this.wire.isOver;
  }

  /** Both said hello, and the data stream is there. */
  async isUp(): Promise<void> {
    await this.frame('hello');
    this.#data = this.wire.nameData(this.#sessionId);
    this.#data.on('data', (bytes: Buffer) => {
      for (const { frame } of DataRequest.decode(bytes).frames) if (frame?.$case === 'flightEvents') this.#events.push(frame.value);
    });
  }

  say(...frames: Frame[]): void {
    this.wire.send(...frames);
  }

  /** On the data stream. */
  sayData(...frames: DataFrame['frame'][]): void {
    this.#data?.write(Buffer.from(DataRequest.encode({ frames: frames.map((frame) => ({ frame })) }).finish()));
  }

  /** The first frame of that kind that fits, as soon as it is there. */
  async frame<K extends Kind>(kind: K, fits: (value: ValueOf<K>) => boolean = () => true): Promise<ValueOf<K>> {
    const found = await waitFor(`a frame ${kind}`, () => {
      const all = this.framesOf(kind).map((value) => ({ value }));
      return all.find(({ value }) => fits(value));
    }, { timeoutMs: answeredWithinMs });
    return found.value;
  }

  /** All frames of that kind so far. */
  framesOf<K extends Kind>(kind: K): ValueOf<K>[] {
    return this.wire.frames.flatMap((frame) => (frame.$case === kind ? [frame.value as ValueOf<K>] : []));
  }

  /** What the node said of that flight so far. */
  eventsOf(invocationId: string): FlightEvent[] {
    return this.#events.flatMap((each) => (each.invocationId === invocationId ? each.events : []));
  }

  async ask(query: NonNullable<Query['query']>): Promise<Answer> {
    const number = (this.#asked += 1);
    this.say({ $case: 'query', value: { number, query } });
    return this.frame('answer', (answer) => answer.number === number);
  }

  /** How a question was refused. @throws when it was not */
  async askToBeRefused(query: NonNullable<Query['query']>): Promise<Told> {
    const { error, answer } = await this.ask(query);
    if (error === undefined) throw new Error(`it was answered: ${answer?.$case}`);
    const { code, message } = decodeErrorInfo(error);
    return { code, words: message };
  }

  /** How a forward was refused. */
  async rejection(invocationId: string): Promise<Told> {
    const { error } = await this.frame('reject', (each) => each.invocationId === invocationId);
    if (error === undefined) throw new Error('a rejection without a reason');
    const { code, message } = decodeErrorInfo(error);
    return { code, words: message };
  }

  /** Says what nobody answers. What came after it is answered: so it was heard, and nothing was said to it. */
  async sayToNobody(...frames: Frame[]): Promise<Told> {
    this.say(...frames);
    await this.isServed();
    return { code: 'silence' };
  }

  /** A question that any member may ask: the session goes on. */
  async isServed(): Promise<void> {
    const { answer } = await this.ask({ $case: 'ping', value: {} });
    if (answer?.$case !== 'ping') throw new Error('no answer to a ping');
  }

  /** The node ends the session, with that reason in its last word or without any. */
  async farewell(): Promise<Told & { readonly reason?: GoodbyeReason }> {
    const goodbye = await waitFor('the session to end', () => this.wire.frames.find((frame) => frame.$case === 'goodbye') ?? (this.isOver ? 'cut' : undefined), { timeoutMs: answeredWithinMs });
    if (goodbye === 'cut') return { code: 'cut' };
    const { detail, reason } = goodbye.value;
    return { code: 'cut', words: detail, reason };
  }

  /** @returns what a session that should never come up was told */
  async refusal(): Promise<Told> {
    const end = await waitFor('the session to be refused', () => this.wire.frames.find((frame) => frame.$case === 'goodbye' || frame.$case === 'hello') ?? (this.isOver ? 'cut' : undefined), { timeoutMs: answeredWithinMs });
    if (end === 'cut') return { code: 'cut', words: this.wire.fault ?? '' };
    if (end.$case === 'hello') throw new Error('the session was taken');
    return { code: 'unauthenticated' satisfies Verdict, words: end.value.detail };
  }

  [Symbol.dispose](): void {
    this.wire[Symbol.dispose]();
  }
}
