/** Rules of admission have people's names in them: who is told of them. */
import { expect, test } from 'vitest';
import { Roster } from '../../../src/broker/roster.ts';
import type { RosterParts } from '../../../src/broker/roster.ts';
import type { Link } from '../../../src/domain/mesh-port.ts';
import type { Roster as RosterMessage } from '../../../src/domain/messages.ts';
import { nodeIdFor, silentLog } from '../../support/temp-store.ts';

const rules = [{ kind: 'user', value: 'ada@example.com' }] as const;
const proof = { certificate: new Uint8Array([1]), attestation: new Uint8Array([2]) };

/** An issuer of ada's, and a link with a node of that person. */
function issuerWith(owner: string, { provesTo = true } = {}) {
  const sent: RosterMessage[] = [];
  let proves = provesTo;
  const known = new Map<string, { issuerDer: Uint8Array }>();
  const peer = { nodeId: nodeIdFor(2), name: 'studio', owner };
  const link = { peer, send: (message: RosterMessage) => void sent.push(message) } as unknown as Link;
  const store = {
    read: { membership: () => ({ chain: {} }), admitRules: () => rules, member: (id: string) => known.get(id) },
    write: { saveIssuer: async ({ nodeId, certificate }: { nodeId: string; certificate: Uint8Array }) => void known.set(nodeId, { issuerDer: certificate }), addAdmitRules: async () => [] },
  };
  const parts = { authorities: () => ({ linkUp: () => undefined, heard: () => Promise.resolve() }), store, self: { owner: () => 'ada', mesh: () => undefined }, mesh: () => ({ links: () => [link] }), log: silentLog, ownAddresses: () => [], issuerProof: () => proof, isIssuer: () => proves, chronicler: { stamp: () => ({}) } };
  const roster = new Roster(parts as unknown as RosterParts);
  return { roster, link, falls: () => void (proves = false), told: () => sent.splice(0).map(({ admission }) => admission?.rules) };
}

test('another node of its own person is, at once and with each change', () => {
  const { roster, link, told } = issuerWith('ada');
  roster.linkUp(link);
  roster.rulesChanged();
  expect(told()).toEqual([rules, rules]);
});

test('a node of another person is not: it learns that this one lets others in, and not whom', () => {
  const { roster, link, told } = issuerWith('bob');
  roster.linkUp(link);
  roster.rulesChanged();
  expect(told()).toEqual([[], []]);
});

test('one that proves to let others in, too, is from then on, and says the same of itself once', async () => {
  const { roster, link, told } = issuerWith('bob');
  roster.linkUp(link);
  await roster.received(link, { type: 'roster', members: [], admission: { rules: [], proof } });
  await roster.received(link, { type: 'roster', members: [], admission: { rules: [], proof } });
  roster.rulesChanged();
  expect(told()).toEqual([[], rules, rules]);
});

test('one whose key was removed since is not any more, though it is known as one that lets others in', async () => {
  const { roster, link, told, falls } = issuerWith('bob');
  await roster.received(link, { type: 'roster', members: [], admission: { rules: [], proof } });
  falls();
  roster.rulesChanged();
  await roster.received(link, { type: 'roster', members: [], admission: { rules: [], proof } });
  roster.rulesChanged();
  expect(told()).toEqual([rules, [], []]);
});

test('one that proves nothing is not', async () => {
  const { roster, link, told } = issuerWith('bob', { provesTo: false });
  roster.linkUp(link);
  await roster.received(link, { type: 'roster', members: [], admission: { rules: [], proof } });
  roster.rulesChanged();
  expect(told()).toEqual([[], []]);
});
