/** A member of the mesh that speaks in the name of others: of its own person, so that no policy stands in its way. */
import { afterAll, beforeAll, expect } from 'vitest';
import { attack } from '../support/attack.ts';
import { AttackedMesh } from '../support/attacked-mesh.ts';
import { FalseMember } from '../support/false-member.ts';
import type { FalseSession } from '../support/false-member.ts';

let mesh: AttackedMesh;
let mallory: FalseMember;
let session: FalseSession;

beforeAll(async () => {
  mesh = await AttackedMesh.start();
  mallory = await FalseMember.enter(mesh.victim, 'mallory');
  session = await mallory.session(mesh.victim);
}, 60_000);
afterAll(async () => {
  session?.[Symbol.dispose]();
  await mesh?.[Symbol.asyncDispose]();
});

const victim = () => mesh.attacked();

attack('work in the name of another node', {
  victim,
  act: async () => {
    const forward = mallory.forward({ nodeId: mesh.victimId, address: mesh.echo }, { originNodeId: mesh.friendId });
    session.say({ $case: 'forward', value: forward });
    return session.rejection(forward.invocation?.id ?? '');
  },
  refused: { code: 'denied', words: /in another node's name/ },
  logged: { line: /"msg":"an invocation was refused"/ },
  shows: 'an invocation whose origin is another than the certificate of the session is rejected, and not run',
});

attack('another node’s list of agents, signed with a key of one’s own', {
  victim,
  act: () => {
    const record = mallory.seal.sealRegistration({ address: '@false@friend#main', nodeId: mesh.friendId, harness: 'command', capabilities: [], labels: {}, visibility: 'mesh', description: '', isDefault: true, available: true });
    const hash = mallory.seal.hash(record.payload);
    const head = mallory.seal.sealHead({ nodeId: mesh.friendId, epoch: Date.now() + 1_000_000, version: 9, count: 1, rootHash: mallory.seal.hash(hash), addresses: [], gossipAddresses: [] });
    return session.sayToNobody({ $case: 'registryChange', value: { head: wire(head), records: [wire(record)], gone: Buffer.alloc(0) } });
  },
  refused: { code: 'silence' },
  logged: { line: /the signature of a head is not its owner's/ },
  holds: async () => expect(await mesh.agentsAt(mesh.victim)).not.toContain('@false@friend#main'),
  shows: 'a list of agents counts only with the signature of the node that has them',
});

function wire({ payload, signature }: { readonly payload: Uint8Array; readonly signature: Uint8Array }): { payload: Buffer; signature: Buffer } {
  return { payload: Buffer.from(payload), signature: Buffer.from(signature) };
}
