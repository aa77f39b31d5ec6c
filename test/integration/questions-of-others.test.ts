/**
 * What a node answers to whom, asked as its peers ask: the node that has the data decides, whatever program asks. Every kind of question
 * stands here: one more does not compile until it is said what a stranger gets of it.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Inspection } from '../../src/broker/inspection.ts';
import { Operator } from '../../src/broker/operator.ts';
import { judgementOf } from '../../src/broker/policy-desk.ts';
import { parseAgentPattern } from '../../src/domain/agent-pattern.ts';
import { toBrokerError } from '../../src/domain/errors.ts';
import type { FlightId, InvocationId } from '../../src/domain/ids.ts';
import type { Link } from '../../src/domain/mesh-port.ts';
import type { CoreQuery, InspectionQuery, PeerAnswer } from '../../src/domain/messages.ts';
import type { ObservationQuery } from '../../src/domain/observation.ts';
import type { Rule, Verb } from '../../src/domain/policy.ts';
import { noPolicyFile } from '../../src/domain/policy-port.ts';
import type { Flight } from '../../src/domain/records.ts';
import { inputOf, specOf } from '../support/asking.ts';
import { nodeIdFor } from '../support/temp-store.ts';
import { agentName, UnreliablePair } from '../support/unreliable-pair.ts';
import { waitFor } from '../support/wait-for.ts';

/** In the task and the answer; what its agent asks is in words of its own. */
const secret = 'adassecret';
const asked = 'may I?';

let pair: UnreliablePair;
let done: Flight;
let waiting: Flight;
/** Of the other agent of ada's. */
let other: Flight;
const told: { readonly who: string; readonly verb: string }[] = [];

beforeAll(async () => {
  pair = await new UnreliablePair().start();
  const { left } = pair;
  await left.broker.addAgent(specOf({ name: 'ledger', workspace: 'main', harness: 'command', cwd: `/${secret}`, env: [`KEY=${secret}`], argv: [secret] }));
  done = await flown(agentName);
  await waitFor('it to run', () => left.runs.length === 1);
  await left.runs[0]?.print(`${secret} answer`);
  left.runs[0]?.end();
  waiting = await flown(agentName);
  await waitFor('it to run', () => left.runs.length === 1);
  left.runs[0]?.ask();
  other = await flown('ledger');
  await waitFor('all to be as they are', () => state(done) === 'completed' && state(waiting) === 'waiting' && state(other) === 'running');
});
afterAll(() => pair[Symbol.asyncDispose]());

async function flown(agent: string): Promise<Flight> {
  const { flight } = await pair.left.broker.invoke(inputOf(`@${agent}@left#main`, `${secret} task`));
  return flight;
}

const state = ({ id }: { readonly id: FlightId }): string | undefined => pair.left.store.read.flight(id)?.state;

/** A peer of that person, by its certificate. */
function peerOf(owner: string, number = 7): Link {
  const peer = { ...pair.right.identity, nodeId: nodeIdFor(number), name: `${owner}s`, owner };
  return { peer, epoch: 1, previousEpoch: undefined, seenEpochs: [], send: () => undefined, sendEvents: () => Promise.resolve(), ask: () => Promise.reject(new Error('nobody asks here')) } as unknown as Link;
}

const bytes = new Uint8Array([1]);
const record = { payload: bytes, signature: bytes };
const missing = 'inv_01J9Z6M3T4V8Q2X7K5B1C0D9EF' as InvocationId;
const hlc = '01a1ff88062a-0000' as Extract<ObservationQuery, { type: 'facts' }>['hlc'];

/** One of each kind; of what is about one flight, the one that waits. */
const questions = {
  ping: () => ({ type: 'ping' }),
  standings: () => ({ type: 'standings', invocationIds: [waiting.invocationId, missing] }),
  flights: () => ({ type: 'flights', filter: {}, limit: 100 }),
  deliveries: () => ({ type: 'deliveries', filter: {}, limit: 100 }),
  reply: () => ({ type: 'reply', invocationId: waiting.invocationId, request: '', reply: { kind: 'approved' }, by: 'uid:1', waitMs: 0 }),
  diff: () => ({ type: 'diff', invocationId: waiting.invocationId, offset: 0 }),
  worktree: () => ({ type: 'worktree', invocationId: waiting.invocationId }),
  trace: () => ({ type: 'trace', invocationId: waiting.invocationId }),
  facts: () => ({ type: 'facts', sinceMs: 0, limit: 500, hlc }),
  find: () => ({ type: 'find', suffix: waiting.invocationId.slice(-8) }),
  report: () => ({ type: 'report', sinceMs: 0 }),
  registry_digest: () => ({ type: 'registry_digest', root: '' }),
  registry_entries: () => ({ type: 'registry_entries', buckets: Array.from({ length: 256 }, (_, bucket) => bucket) }),
  registry_records: () => ({ type: 'registry_records', nodeId: pair.left.identity.nodeId, have: [] }),
  rename: () => ({ type: 'rename', name: 'left' }),
  renew: () => ({ type: 'renew', nowMs: 0 }),
  issuer_key: () => ({ type: 'issuer_key' }),
  become_issuer: () => ({ type: 'become_issuer', certificate: bytes }),
  renew_issuer: () => ({ type: 'renew_issuer' }),
  leave: () => ({ type: 'leave', departure: record }),
  remove: () => ({ type: 'remove', nodeId: pair.right.identity.nodeId, by: 'uid:1' }),
  revoked: () => ({ type: 'revoked', revocation: record }),
} satisfies { readonly [Type in CoreQuery['type']]: () => Extract<CoreQuery, { readonly type: Type }> };

type Kind = keyof typeof questions;
const kinds = Object.keys(questions) as readonly Kind[];
/** What is about work: nobody but its parties and whoever may inspect or control gets anything. Standings are of what the asking node has. */
const aboutWork: readonly Kind[] = ['flights', 'deliveries', 'reply', 'diff', 'worktree', 'trace', 'facts', 'find', 'report'];

async function gets(link: Link, kind: Kind, query: CoreQuery = questions[kind]()): Promise<{ readonly answer?: PeerAnswer; readonly code?: string; readonly text: string }> {
  try {
    const answer = await pair.left.broker.links.onQuery(link, query);
    return { answer, text: textOf(answer) };
  } catch (thrown) {
    const error = toBrokerError(thrown);
    return { code: error.code, text: textOf(error.toInfo()) };
  }
}

/** Bytes too: a record of the registry is signed text. */
function textOf(value: unknown): string {
  return JSON.stringify(value, (_key, each: unknown) => (each instanceof Uint8Array ? Buffer.from(each).toString('latin1') : each));
}

describe('a node of another person', () => {
  test.each(kinds)('asks %s and sees no word of her work', async (kind) => {
    const { code, text } = await gets(peerOf('bob'), kind);
    expect(text).not.toContain(secret);
    expect(text).not.toContain(asked);
    if (aboutWork.includes(kind)) expect([kind, code]).toEqual([kind, 'denied']);
  });

  test('is told the same of a flight that is there and of one that is not', async () => {
    for (const kind of ['trace', 'find', 'reply', 'diff', 'worktree'] as const) {
      const there = await gets(peerOf('bob'), kind);
      const question = kind === 'find' ? { type: 'find', suffix: missing.slice(-8) } : { ...questions[kind](), invocationId: missing };
      const notThere = await gets(peerOf('bob'), kind, question as CoreQuery);
      expect([kind, notThere.text.replaceAll(missing, waiting.invocationId)]).toEqual([kind, there.text]);
    }
  });

  test('gets nothing by a name that is not its person’s, in whatever it says of itself', async () => {
    const peer = peerOf('bob');
    expect((await gets({ ...peer, peer: { ...peer.peer, name: 'ada' } } as Link, 'flights')).code).toBe('denied');
    for (const owner of ['Ada', 'ada ', 'аda', '', '*']) expect([owner, (await gets(peerOf(owner), 'flights')).code]).toEqual([owner, 'denied']);
  });

  test('has answered nothing and changed nothing by it', () => {
    expect([state(done), state(waiting), state(other)]).toEqual(['completed', 'waiting', 'running']);
    expect(pair.left.runs.flatMap((each) => each.answers)).toEqual([]);
  });
});

test('another node of her own sees it all, text too', async () => {
  const { answer, text } = await gets(peerOf('ada'), 'flights');
  expect(answer?.type === 'flights' ? answer.page.items.length : 0).toBe(3);
  expect(text).toContain(asked);
  for (const kind of ['deliveries', 'trace', 'facts', 'find', 'report'] as const) expect([kind, (await gets(peerOf('ada'), kind)).code]).toEqual([kind, undefined]);
});

describe('whom she lets inspect', () => {
  const rule = (effect: Rule['effect'], person: string, agents?: string, verbs: readonly Verb[] = ['inspect']): Rule => ({
    effect, verbs, from: [{ kind: 'person', name: person }], source: { kind: 'file', where: 'policy.toml:1' }, ...(agents === undefined ? {} : { agents: [parseAgentPattern(agents)] }),
  });

  /** The parts that answer, with such a policy. */
  function answering(...rules: readonly Rule[]): (link: Link, query: InspectionQuery | ObservationQuery) => Promise<PeerAnswer> {
    const { store } = pair.left;
    const self = { nodeId: pair.left.identity.nodeId, epoch: 1, previousEpoch: 0, version: '0', name: () => 'left', owner: () => 'ada', certifiedAtMs: () => 0, namedSinceMs: () => 0, mesh: () => undefined };
    const audit = { refused: (refusal: { about: { verb?: string } }, act: { who: { name?: string } }) => void told.push({ who: act.who.name ?? '', verb: refusal.about.verb ?? '' }) };
    const { sight } = judgementOf({ store, self, audit, policyFile: { ...noPolicyFile, rules }, standings: undefined } as unknown as Parameters<typeof judgementOf>[0], () => 0);
    const parts = { store, self, sight, clock: pair.clock, mesh: () => ({ links: () => [], peers: () => [], link: () => undefined }), chronicler: { stampAfter: () => ({ atMs: 0, hlc }), stamp: () => ({ atMs: 0, hlc }) }, isDraining: () => false } as const;
    const [inspection, operator] = [new Inspection(parts as unknown as ConstructorParameters<typeof Inspection>[0]), new Operator(parts as unknown as ConstructorParameters<typeof Operator>[0])];
    const isObservation = (query: InspectionQuery | ObservationQuery): query is ObservationQuery => ['trace', 'facts', 'find', 'report'].includes(query.type);
    return (link, query) => (isObservation(query) ? operator.answer(link, query) : inspection.answer(link, query));
  }
  const codeOf = (answer: Promise<PeerAnswer>): Promise<string> => answer.then(() => 'answered', (thrown: unknown) => toBrokerError(thrown).code);
  const all = ['flights', 'deliveries', 'trace', 'facts', 'find', 'report'] as const;

  test('all of her work: receipts and states, and no word of it', async () => {
    const answer = answering(rule('allow', 'carol'));
    for (const kind of all) {
      const text = textOf(await answer(peerOf('carol'), questions[kind]()));
      expect([kind, text.includes(secret), text.includes(asked)]).toEqual([kind, false, false]);
    }
    const flights = await answer(peerOf('carol'), questions.flights());
    expect(flights.type === 'flights' ? flights.page.items.map((each) => each.state).toSorted() : []).toEqual(['completed', 'running', 'waiting']);
    expect(flights.type === 'flights' ? flights.page.items.find((each) => each.state === 'waiting')?.waiting : undefined).toMatchObject({ reason: 'approval', prompt: '', choices: [] });
    const facts = await answer(peerOf('carol'), questions.facts());
    expect(facts.type === 'facts' ? facts.facts.every((each) => each.invocationId !== undefined) : false).toBe(true);
    const trace = await answer(peerOf('carol'), questions.trace());
    expect(trace.type === 'trace' ? trace.facts.map((each) => each.what) : []).toEqual(expect.arrayContaining(['invocation.accepted', 'flight.started', 'flight.waiting']));
  });

  test('some of her agents: the work of these in lists and traces, and nothing of the node as a whole', async () => {
    told.splice(0);
    const answer = answering(rule('allow', 'carol', agentName));
    const flights = await answer(peerOf('carol'), questions.flights());
    expect(flights.type === 'flights' ? flights.page.items.map((each) => each.id).toSorted() : []).toEqual([done.id, waiting.id].toSorted());
    const deliveries = await answer(peerOf('carol'), questions.deliveries());
    expect(deliveries.type === 'deliveries' ? deliveries.page.items.map((each) => each.target) : []).toEqual([done.target, waiting.target]);
    expect((await answer(peerOf('carol'), questions.trace())).type).toBe('trace');
    expect((await answer(peerOf('carol'), questions.find())).type).toBe('find');
    // What was given was not refused before it was given.
    expect(told).toEqual([]);
    for (const query of [questions.facts(), questions.report(), { type: 'trace', invocationId: other.invocationId }, { type: 'find', suffix: other.invocationId.slice(-8) }] as const) {
      expect([query.type, await codeOf(answer(peerOf('carol'), query))]).toEqual([query.type, 'denied']);
    }
    expect(told).toEqual(Array.from({ length: 4 }, () => ({ who: 'carols', verb: 'inspect' })));
  });

  test('a list is looked through until there is something of theirs, and gone on with from there', async () => {
    const answer = answering(rule('allow', 'carol', 'ledger'));
    const seen: string[] = [];
    let after: string | undefined;
    do {
      const page = await answer(peerOf('carol'), { type: 'flights', filter: {}, limit: 1, ...(after === undefined ? {} : { after }) });
      if (page.type !== 'flights') throw new Error('another answer');
      seen.push(...page.page.items.map((each) => each.target));
      after = page.page.next;
    } while (after !== undefined);
    expect(seen).toEqual([other.target]);
  });

  test('a denial wins, over her own other nodes too, and leaves the parties of a flight what is theirs', async () => {
    const answer = answering(rule('allow', 'carol'), rule('deny', 'carol', 'ledger'), rule('deny', 'ada'));
    expect(await codeOf(answer(peerOf('carol'), questions.report()))).toBe('denied');
    const flights = await answer(peerOf('carol'), questions.flights());
    expect(flights.type === 'flights' ? flights.page.items.map((each) => each.target) : []).not.toContain(other.target);
    for (const kind of all) expect([kind, await codeOf(answer(peerOf('ada'), questions[kind]()))]).toEqual([kind, 'denied']);
    const itself = { ...peerOf('ada'), peer: pair.left.identity } as Link;
    expect(await codeOf(answer(itself, questions.trace()))).toBe('answered');
  });
});
