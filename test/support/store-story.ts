/** One of each write that a store knows, in an order in which all are taken. The same each time, to the byte. */
import type { Registration } from '../../src/domain/registration.ts';
import { flightOfInvocation, groupIdOf } from '../../src/domain/ids.ts';
import type { Invocation } from '../../src/domain/invocation.ts';
import type { Member, StoreWrites } from '../../src/domain/store-port.ts';
import { nodeIdFor, Story, textTask, utf8 } from './temp-store.ts';

export const storyNode = nodeIdFor(1);
const peer = nodeIdFor(2);
const address = '@fabric@laptop#main';

export interface StoryStep {
  readonly name: keyof StoreWrites;
  readonly input: unknown;
}

export function storeStory(): readonly StoryStep[] {
  const story = new Story();
  const steps: StoryStep[] = [];
  const add = <Name extends keyof StoreWrites>(name: Name, input: Parameters<StoreWrites[Name]>[0]): void => void steps.push({ name, input });
  const bytes = new Uint8Array([1, 2, 3]);
  const chain = { leaf: bytes, issuer: bytes };
  const member: Member = { nodeId: peer, name: 'desktop', owner: 'ada', chain, notBeforeMs: 1, addresses: ['10.0.0.2:7423'] };
  const registration: Registration = {
    address, nodeId: storyNode, harness: 'command', capabilities: [], labels: {}, visibility: 'mesh', description: '', isDefault: false, available: true,
  };
  const own = (): Invocation => story.invocation({ origin: storyNode, owner: storyNode });
  const sent = (): Invocation => story.invocation({ origin: storyNode, owner: peer });
  const foreign = (): Invocation => story.invocation({ origin: peer, owner: storyNode });
  const wait = { kind: 'defer', reason: 'peer_unreachable', detail: 'away' } as const;
  const flightOf = ({ id }: Invocation) => flightOfInvocation(id);
  const stamp = () => story.stamp();

  add('boot', { stamp: stamp(), nodeId: storyNode, version: '1' });
  add('saveMembership', {
    stamp: stamp(), membership: { meshId: 'mesh1' as never, meshName: 'home', name: 'laptop', owner: 'ada', rootDer: bytes, chain, isIssuer: true }, members: [], what: 'mesh.created',
  });
  add('replaceOwnChain', { stamp: stamp(), name: 'laptop', chain: { leaf: new Uint8Array([4]), issuer: bytes } });
  add('renameNode', { stamp: stamp(), name: 'laptop', chain: { leaf: new Uint8Array([5]), issuer: bytes } });
  add('addInvite', { stamp: stamp(), invite: { secretHash: 'aa', owner: 'ada', expiresAtMs: 2e15 } });
  add('redeemInvite', { stamp: stamp(), secretHash: 'aa', member });
  add('admitMember', { stamp: stamp(), member: { ...member, nodeId: nodeIdFor(4), name: 'studio' }, issuerDer: bytes });
  add('recordApplicant', { stamp: stamp(), applicant: { nodeId: nodeIdFor(5), name: 'guest', address: '100.64.0.5:7423', login: 'bob', tags: [], why: 'no rule admits it' } });
  add('addAdmitRules', { stamp: stamp(), rules: [{ kind: 'tag', value: 'tag:server' }] });
  add('saveMembers', { stamp: stamp(), members: [{ ...member, nodeId: nodeIdFor(3), name: 'server' }] });
  add('renewMember', { stamp: stamp(), member: { ...member, nodeId: nodeIdFor(3), notBeforeMs: 2, namedSinceMs: 1 } });
  add('renameMember', { stamp: stamp(), member: { ...member, nodeId: nodeIdFor(3), name: 'shed', notBeforeMs: 2 } });
  add('addIssuer', { stamp: stamp(), nodeId: peer, certificate: bytes });
  add('becomeIssuer', { stamp: stamp(), certificate: bytes });
  add('saveIssuer', { nodeId: peer, certificate: new Uint8Array([6]) });
  add('saveDepartures', { stamp: stamp(), departures: [{ departure: { nodeId: nodeIdFor(3), certifiedAtMs: 2, leftAtMs: story.nowMs }, record: { payload: bytes, signature: bytes } }] });
  const revoked = { revocation: { nodeId: nodeIdFor(6), name: 'lost', by: 'ada on laptop', revokedAtMs: story.nowMs, fallen: { issuer: bytes, kept: [peer] } }, record: { payload: bytes, signature: bytes } };
  add('saveRevocations', { stamp: stamp(), revocations: [{ ...revoked, with: [nodeIdFor(3)] }] });
  add('saw', { nodeId: peer, atMs: story.nowMs, epoch: 7 });
  add('probe', undefined);
  add('addAgent', {
    stamp: stamp(), registration,
    endpoint: { agentId: `agt_${story.ulid()}` as never, address, harness: 'command', cwd: '/', argv: ['cat'], env: [], path: '/bin', permissions: 'ask', isolate: true, checkout: { top: '/feature', entry: '/shop/.git/worktrees/feature', repository: '/shop/.git', device: 2 ** 40 } },
  });
  add('shareAgent', { stamp: stamp(), address, shares: [{ with: 'all' }, { with: 'person', name: 'bob' }, { with: 'node', nodeId: peer }], by: 'uid:501' });
  add('unshareAgent', { stamp: stamp(), address, shares: [{ with: 'person', name: 'bob' }], by: 'uid:501' });
  add('setAvailability', { address, available: false, why: 'gone' });
  add('saveRegistry', {
    head: { nodeId: peer, epoch: 1, version: 1, count: 1, rootHash: 'ab', addresses: [], gossipAddresses: [] }, signedHead: { payload: bytes, signature: bytes },
    base: undefined, records: [{ registration: { ...registration, nodeId: peer, address: '@fabric@desktop#main' }, record: { payload: bytes, signature: bytes }, hash: 'ab' }], gone: ['cd'], atMs: 1,
  });
  const act = { who: { is: 'user', id: 'uid:501' }, from: { via: 'socket' } } as const;
  add('audit', { stamp: stamp(), entries: [{ kind: 'recovery.exported', about: { moved: 'false' }, ...act }, { kind: 'policy.denied', about: { verb: 'invoke', agent: address }, who: { is: 'member', nodeId: peer, name: 'desktop', owner: 'bob' }, from: { via: 'session', address: '10.0.0.2:7423' }, times: 12 }] });
  add('note', { stamp: stamp(), what: 'invocation.refused', detail: { why: 'x' } });

  const [local, remote, refused, given] = [own(), sent(), sent(), foreign()];
  add('accept', story.accept(local, { kind: 'local', queueLimit: 10, sessionOwner: 'ada' }, { key: 'k', notify: true }));
  add('notified', { flightId: flightOf(local), told: 'req_1' });
  const place = { name: 'one', prefix: 'sub/', gitDir: '/shop/.git/worktrees/one', searchPath: '/bin' };
  add('start', { stamp: stamp(), flightId: flightOf(local), worktree: { madeFor: local.id, head: 'a'.repeat(40), branch: 'beckon/one', dirty: 2, place } });
  add('recordProcess', { flightId: flightOf(local), process: { pid: 4711, session: 4711, startedAt: '1', bootId: 'boot' } });
  add('bindSession', { flightId: flightOf(local), agentSession: 'agent-1' });
  add('forgetProcesses', { flightId: flightOf(local) });
  add('appendOutput', { flightId: flightOf(local), chunks: [{ stream: 'stdout', bytes: utf8('out'), stamp: stamp() }, { progress: { kind: 'thought', text: 'hm' }, stamp: stamp() }, { stream: 'stderr', bytes: utf8('err'), stamp: stamp() }] });
  const question = { reason: 'approval', prompt: 'go on?', choices: ['yes', 'no'] } as const;
  const request = (): string => `req_${story.ulid()}`;
  const [answered, late, brought, kept] = [request(), request(), request(), request()];
  add('ask', { stamp: stamp(), flightId: flightOf(local), request: answered, ask: question, untilMs: 2e15 });
  add('giveReply', { stamp: stamp(), flightId: flightOf(local), request: answered, reply: { kind: 'approved' }, by: 'uid:501' });
  add('ask', { stamp: stamp(), flightId: flightOf(local), request: late, ask: question, untilMs: 2e15 });
  add('timeOutRequest', { stamp: stamp(), flightId: flightOf(local), request: late });
  add('finish', { stamp: stamp(), flightId: flightOf(local), outcome: { state: 'completed', exitCode: 0 }, last: [{ stream: 'stdout', bytes: utf8('last'), stamp: stamp() }] });
  add('settleWorktree', { stamp: stamp(), flightId: flightOf(local), state: 'fetched', by: 'uid:501' });

  const begun = foreign();
  add('receive', { stamp: stamp(), invocation: begun, task: textTask('at once'), queueLimit: 10, start: true });
  add('finish', { stamp: stamp(), flightId: flightOf(begun), outcome: { state: 'completed', exitCode: 0 } });

  const [asking, asked] = [foreign(), sent()];
  add('receive', { stamp: stamp(), invocation: asking, task: textTask('ask me'), queueLimit: 10 });
  add('start', { stamp: stamp(), flightId: flightOf(asking) });
  add('ask', { stamp: stamp(), flightId: flightOf(asking), request: brought, ask: question, untilMs: 2e15 });
  add('receiveReply', { stamp: stamp(), invocationId: asking.id, originNodeId: peer, request: brought, reply: { kind: 'denied' }, by: 'uid:501 on desktop' });
  add('finish', { stamp: stamp(), flightId: flightOf(asking), outcome: { state: 'completed', exitCode: 0 } });
  add('accept', story.accept(asked, { kind: 'send', attemptId: story.attemptId() }));
  add('applyEvents', {
    stamp: stamp(), invocationId: asked.id, fromNodeId: peer, receivedAtMs: 5,
    events: [{ seq: 1, ...stamp(), body: { kind: 'started', run: 1 } }, { seq: 2, ...stamp(), body: { kind: 'waiting', request: kept, ...question, untilMs: 2e15 } }],
  });
  add('giveReply', { stamp: stamp(), flightId: flightOf(asked), request: kept, reply: { kind: 'approved' }, by: 'uid:501' });
  add('settleReply', { stamp: stamp(), invocationId: asked.id, fromNodeId: peer, request: kept });

  add('accept', story.accept(remote, wait));
  add('beginAttempt', { stamp: stamp(), invocationId: remote.id, attemptId: story.attemptId() });
  add('defer', { stamp: stamp(), invocationId: remote.id, fromNodeId: peer, attempt: 1, reason: 'agent_offline', detail: 'going down' });
  add('beginAttempt', { stamp: stamp(), invocationId: remote.id, attemptId: story.attemptId() });
  add('loseAttempts', { stamp: stamp(), toNodeId: peer, reason: 'peer_unreachable', detail: 'gone' });
  add('beginAttempt', { stamp: stamp(), invocationId: remote.id, attemptId: story.attemptId() });
  add('receipt', { stamp: stamp(), invocationId: remote.id, fromNodeId: peer, receivedAtMs: 5 });
  add('requestCancel', { stamp: stamp(), flightId: flightOf(remote), by: 'uid:501' });
  add('applyEvents', {
    stamp: stamp(), invocationId: remote.id, fromNodeId: peer, receivedAtMs: 5,
    events: [{ seq: 1, ...stamp(), body: { kind: 'started', run: 1 } }, { seq: 2, ...stamp(), body: { kind: 'output', stream: 'stdout', bytes: utf8('far') } }],
  });
  add('accept', story.accept(refused, { kind: 'send', attemptId: story.attemptId() }));
  add('reject', { stamp: stamp(), invocationId: refused.id, fromNodeId: peer, reason: 'denied', error: { code: 'denied', message: 'no' } });
  const { stamp: atOnce, task, payloadHash } = story.accept(own());
  add('acceptAll', {
    stamp: atOnce, task, payloadHash, key: 'group',
    members: [
      { invocation: { ...own(), groupId: groupIdOf(story.ulid()) }, plan: { kind: 'local', queueLimit: 10 } },
      { invocation: sent(), plan: wait },
    ],
  });
  const dropped = sent();
  add('accept', story.accept(dropped, wait));
  add('endAtOrigin', { stamp: stamp(), flightId: flightOf(dropped), outcome: { state: 'expired' }, delivery: { status: 'dead', reason: 'timeout' }, unlessSent: true });

  add('receive', { stamp: stamp(), invocation: given, task: { ...textTask('theirs'), files: [{ name: 'f', bytes }] }, queueLimit: 10 });
  add('receiveCancel', { stamp: stamp(), invocationId: given.id, originNodeId: peer });
  add('start', { stamp: stamp(), flightId: flightOf(given) });
  const lost = story.invocation({ origin: peer, owner: storyNode }, { target: '@tests@laptop#main' });
  add('receive', { stamp: stamp(), invocation: lost, task: textTask(''), queueLimit: 10 });
  add('start', { stamp: stamp(), flightId: flightOf(lost) });
  add('recover', { stamp: stamp(), nodeId: storyNode, mayReturn: [given.target] });
  add('giveUp', { stamp: stamp(), flightId: flightOf(given), error: { code: 'unavailable', message: 'nobody came back' } });
  add('acknowledged', { flightId: flightOf(given), originNodeId: peer, seq: 2 });
  add('prune', { stamp: stamp(), outputsBeforeMs: 2e15, mostBytes: 0, recordsBeforeMs: 0 });

  const held = story.invocation({ origin: peer, owner: storyNode }, { rerunnable: true });
  add('receive', { stamp: stamp(), invocation: held, task: textTask(''), queueLimit: 10 });
  add('accept', story.accept(own()));
  add('boot', { stamp: stamp(), nodeId: storyNode, version: '2' });
  add('rolledBack', { stamp: stamp(), evidence: 'a peer has seen more', peerNodeId: peer });
  add('settleQuarantined', { stamp: stamp(), flightId: flightOf(held), origin: { lastSeq: 0, terminal: false } });
  add('removeAgent', { stamp: stamp(), address, why: 'its worktree is gone' });
  const definition = { name: 'shop', description: '', harness: 'command', argv: ['./agent.sh'], env: [], permissions: 'ask', isolate: false, capabilities: [], labels: {}, visibility: 'mesh' } as const;
  add('saveProject', { stamp: stamp(), project: { root: '/shop', definition, words: { command: ['./agent.sh'] }, wordsHash: 'ab', isRepository: true, path: '/bin', approvedBy: 'uid:501' } });
  const worktree = { root: '/shop', top: '/shop' } as const;
  const shop = '@shop@laptop#main';
  const endpoint = { agentId: `agt_${story.ulid()}` as never, address: shop, harness: 'command', cwd: '/shop', argv: ['./agent.sh'], env: [], path: '/bin', permissions: 'ask', isolate: false } as const;
  add('putInstance', { stamp: stamp(), ...worktree, endpoint, registration: { ...registration, address: shop } });
  add('putInstance', { stamp: stamp(), ...worktree, endpoint: { ...endpoint, argv: ['cat'] }, registration: { ...registration, address: shop, isDefault: true } });
  add('forgetProject', { stamp: stamp(), root: '/shop', why: 'its project was forgotten' });
  add('leaveMesh', { stamp: stamp() });
  return steps;
}
