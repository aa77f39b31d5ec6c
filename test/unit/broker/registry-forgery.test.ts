/** What is not its owner's own word changes nothing, whoever brings it and however often. */
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createRecordSeal } from '../../../src/app/record-seal.ts';
import { asMeshId } from '../../../src/domain/ids.ts';
import type { RegistryQuery } from '../../../src/domain/messages.ts';
import type { Registration, RegistryChange, RegistryEntry, RegistryHead, SignedRecord } from '../../../src/domain/registration.ts';
import { rootHash } from '../../../src/domain/registry-set.ts';
import { Registration as WireRegistration } from '../../../src/gen/beckon/v1/record.ts';
import { encodeRegistration } from '../../../src/rpc/records.ts';
import type { NodeKey } from '../../../src/trust/node-key.ts';
import { chainOf, home, keyFor } from '../../support/registry-identities.ts';
import { RegistryMesh } from '../../support/registry-mesh.ts';
import type { RegistryNode } from '../../support/registry-mesh.ts';

const foreign = asMeshId('b'.repeat(26));
const stranger = keyFor(9);

let net: RegistryMesh;
let [owner, victim, teller]: RegistryNode[] = [];
beforeEach(async () => {
  net = await RegistryMesh.of(3);
  [owner, victim, teller] = net.nodes;
});
afterEach(() => net.stop());

const at = (node: RegistryNode | undefined): RegistryNode => {
  if (node === undefined) throw new Error('no such node');
  return node;
};
const registrationOf = (node: RegistryNode, changes: Partial<Registration> = {}): Registration => ({
  address: `@x@${node.name}#main`, nodeId: node.nodeId, harness: 'command', capabilities: [], labels: {}, visibility: 'mesh', description: '', isDefault: false, available: true, ...changes,
});

/** A head over these records, as that key signs it for that mesh. */
function setOf(node: RegistryNode, records: readonly SignedRecord[], changes: Partial<RegistryHead> = {}, key: NodeKey = node.key, mesh = home): RegistryChange {
  const seal = createRecordSeal(key, () => mesh);
  const root = rootHash(records.map(({ payload }) => seal.hash(payload)), (content) => seal.hash(content));
  const head = { nodeId: node.nodeId, epoch: 8e15, version: 1, count: records.length, rootHash: root, addresses: [], gossipAddresses: [], ...changes };
  return { head: seal.sealHead(head), records, gone: [] };
}
const sealed = (node: RegistryNode, changes: Partial<Registration> = {}, key: NodeKey = node.key, mesh = home): SignedRecord => createRecordSeal(key, () => mesh).sealRegistration(registrationOf(node, changes));

interface Version {
  readonly version: string;
  readonly rows: string;
  readonly head: SignedRecord;
  readonly records: readonly SignedRecord[];
}

/** What the owner has told until now, as everybody should have it. */
function versionOf(node: RegistryNode): Version {
  const { head, signedHead } = node.store.read.registryHead(node.nodeId) ?? {};
  if (head === undefined || signedHead === undefined) throw new Error('it told nothing');
  return { version: `${head.epoch}.${head.version}`, rows: rowsOf(node, node), head: signedHead, records: node.store.read.registrations(node.nodeId).map(({ record }) => record) };
}

/** What a node holds of another, to the byte. */
function rowsOf(of: RegistryNode, node: RegistryNode): string {
  const bytes = ({ payload, signature }: SignedRecord): string => `${Buffer.from(payload).toString('base64')}.${Buffer.from(signature).toString('base64')}`;
  const head = of.store.read.registryHead(node.nodeId)?.signedHead;
  return [head === undefined ? '' : bytes(head), ...of.store.read.registrations(node.nodeId).map(({ record }) => bytes(record)).toSorted()].join('\n');
}

/** Of the owner: five versions, of which the victim has the third. */
async function history(): Promise<Version[]> {
  const versions: Version[] = [];
  for (const node of [owner, victim, teller]) net.connect(at(node), at(owner));
  net.connect(at(victim), at(teller));
  for (const [index, agent] of ['a', 'b', 'c', 'a', 'd'].entries()) {
    if (index === 3) for (const node of [victim, teller]) net.disconnect(at(owner), at(node));
    await at(owner).add(agent, String(index));
    if (index === 4) await at(owner).remove('b');
    if (index < 3) await net.run(10_000);
    else await net.clock.advance(10);
    versions.push(versionOf(at(owner)));
  }
  return versions;
}

test('forged, altered, replayed, downgraded and foreign heads and records change nothing, told or fetched', async () => {
  // What runs when the time is up runs on, on nodes that the next test would take for its own.
  let running: Promise<void> = Promise.resolve();
  await fc.assert(
    fc.asyncProperty(fc.array(fc.array(fc.nat(), { minLength: 12, maxLength: 12 }), { minLength: 1, maxLength: 30 }), fc.boolean(), (attacks, isLying) => (running = (async () => {
      await net.stop();
      net = await RegistryMesh.of(3);
      [owner, victim, teller] = net.nodes;
      const [o, v, t] = [at(owner), at(victim), at(teller)];
      const versions = await history();
      expect(rowsOf(v, o)).toBe(versions[2]?.rows);
      const others = rowsOf(v, t);

      const pick = <Item>(items: readonly Item[], number: number): Item => items[number % items.length] as Item;
      const flip = (given: Uint8Array, where: number): Uint8Array => Uint8Array.from(given, (byte, index) => (index === where % given.length ? byte ^ 1 : byte));
      const altered = ({ payload, signature }: SignedRecord, where: number): SignedRecord => (where % 3 === 0 ? { payload, signature: flip(signature, where) } : { payload: flip(payload, where), signature });
      const genuineHeads = versions.map(({ head }) => head);
      const genuine = versions.flatMap(({ records }) => records);
      const forgedRecords = [...genuine, sealed(o, {}, t.key), sealed(o, {}, o.key, foreign), sealed(t, {}, t.key), sealed(o, { address: '@x@n0' }, t.key)];
      const recordOf = (number: number): SignedRecord => (number % 4 === 0 ? altered(pick(genuine, number), number) : pick(forgedRecords, number));
      const changeFrom = (n: readonly number[]): RegistryChange => {
        // All as it should be, but for one signature.
        if ((n[5] ?? 0) % 4 === 0) {
          const version = pick(versions, n[7] ?? 0);
          const records = version.records.map((each, index) => (index === (n[8] ?? 0) % version.records.length ? { ...each, signature: flip(each.signature, n[9] ?? 0) } : each));
          return { head: version.head, records, gone: genuine.map(({ payload }) => o.seal.hash(payload).slice(0, 16)) };
        }
        const records = Array.from({ length: (n[0] ?? 0) % 5 }, (_, index) => recordOf(n[index + 1] ?? 0));
        const heads = [
          pick(genuineHeads, n[7] ?? 0),
          altered(pick(genuineHeads, n[7] ?? 0), n[8] ?? 0),
          setOf(o, records, {}, t.key).head,
          setOf(o, records, {}, o.key, foreign).head,
          setOf(o, records, {}, stranger).head,
          // In its own name, with what is another's or nobody's.
          setOf(t, [...records, pick(genuine, n[9] ?? 0)], {}, t.key).head,
        ];
        const hashes = genuine.map(({ payload }) => o.seal.hash(payload).slice(0, 16));
        const head = pick(heads, n[6] ?? 0);
        return { head, records: head === heads[5] ? [...records, pick(genuine, n[9] ?? 0)] : records, gone: (n[10] ?? 0) % 2 === 0 ? [] : [pick(hashes, n[10] ?? 0)] };
      };
      const entryFrom = (n: readonly number[]): RegistryEntry => ({
        chain: chainOf({ nodeId: o.nodeId, name: 'stolen', notBeforeMs: 5, mesh: foreign }),
        head: changeFrom(n).head,
        departure: createRecordSeal((n[3] ?? 0) % 2 === 0 ? t.key : o.key, () => ((n[3] ?? 0) % 2 === 0 ? home : foreign)).sealDeparture({ nodeId: o.nodeId, certifiedAtMs: 9e15, leftAtMs: 1 }),
      });

      const link = v.links.get(t.nodeId);
      if (link === undefined) throw new Error('no link');
      let step = 0;
      if (isLying) {
        t.lie = (query: RegistryQuery) => {
          const n = attacks[(step += 1) % attacks.length] ?? [];
          const hex = (number = 0): string => number.toString(16).padStart(16, '0').slice(-16);
          if (query.type === 'registry_digest') return { type: 'registry_digest', root: hex(n[0]), buckets: Array.from({ length: 256 }, () => hex(n[1])) };
          if (query.type === 'registry_entries') return { type: 'registry_entries', entries: [entryFrom(n)] };
          return { type: 'registry_records', change: changeFrom(n), more: (n[11] ?? 0) % 3 === 0 };
        };
      }
      let reached = 2;
      for (const [index, n] of attacks.entries()) {
        if (index % 3 === 0) await v.registry.news(link, { type: 'registry_change', change: changeFrom(n) });
        if (index % 3 === 1) await v.registry.gossiped({ type: 'registry_change', change: changeFrom(n) }, t.nodeId);
        if (index % 3 === 2) await v.registry.news(link, { type: 'registry_entry', entry: entryFrom(n) });
        await net.run(500, { untilIdle: false });
        // A later word of the owner, whole, may be taken from anybody; nothing else, and never an earlier one.
        const found = versions.findIndex(({ rows }) => rows === rowsOf(v, o));
        expect(found).toBeGreaterThanOrEqual(reached);
        reached = found;
        expect(rowsOf(v, t)).toBe(others);
        expect(v.store.read.member(o.nodeId)).toMatchObject({ name: o.name });
        expect(v.store.read.member(o.nodeId)?.left).toBeUndefined();
      }
    })())),
    // As many as there is time for, on a machine that has other things to do.
    { numRuns: 60, interruptAfterTimeLimit: 15_000, endOnFailure: true },
  );
  await running;
}, 60_000);

test('of a later and an earlier word that come at once, the later stays', async () => {
  const versions = await history();
  const [o, v, t] = [at(owner), at(victim), at(teller)];
  const changes = [4, 2, 3].map((index): RegistryChange => ({ head: versions[index]?.head as SignedRecord, records: versions[index]?.records ?? [], gone: versions.flatMap(({ records }) => records).map(({ payload }) => o.seal.hash(payload).slice(0, 16)).filter((each) => !versions[index]?.records.some(({ payload }) => o.seal.hash(payload).startsWith(each))) }));
  await Promise.all(changes.map((change) => v.registry.gossiped({ type: 'registry_change', change }, t.nodeId)));
  expect(rowsOf(v, o)).toBe(versions[4]?.rows);
});

describe('a node that signs', () => {
  const told = async (make: () => RegistryChange): Promise<string> => {
    const [o, v] = [at(owner), at(victim)];
    net.connect(o, v);
    await o.add('good');
    for (let round = 0; round < 10 && v.known(o).length === 0; round += 1) await net.run(5_000);
    expect(v.known(o)).toHaveLength(1);
    const before = rowsOf(v, o);
    const verdict = await v.registry.gossiped({ type: 'registry_change', change: make() }, o.nodeId);
    expect(rowsOf(v, o)).toBe(before);
    expect(v.logged.join('\n')).toMatch(/what a node told of the registry was not taken/);
    return verdict;
  };
  const whole = (...records: SignedRecord[]): RegistryChange => {
    const o = at(owner);
    const have = o.store.read.registrations(o.nodeId).map(({ record }) => record);
    return { ...setOf(o, [...have, ...records]), records };
  };

  test('a record larger than 16 KiB is not taken at its word', async () => {
    expect(await told(() => whole(sealed(at(owner), { description: 'x'.repeat(16 * 1024) })))).toBe('reject');
  });

  test('more than 5,000 records is not taken at its word', async () => {
    expect(await told(() => setOf(at(owner), [], { count: 5_001 }))).toBe('reject');
  });

  test('two registrations of one address is not taken at its word', async () => {
    expect(await told(() => whole(sealed(at(owner)), sealed(at(owner), { description: 'other' })))).toBe('reject');
  });

  test('a registration of another node is not taken at its word', async () => {
    expect(await told(() => whole(sealed(at(owner), { nodeId: at(teller).nodeId })))).toBe('reject');
  });

  test('an address that is not whole is not taken at its word', async () => {
    expect(await told(() => whole(sealed(at(owner), { address: '@x@n0' })))).toBe('reject');
  });

  test('a record twice is taken as one', async () => {
    const [o, v] = [at(owner), at(victim)];
    net.connect(o, v);
    await o.add('good');
    await net.run(5_000);
    const change = whole(sealed(o));
    expect(await v.registry.gossiped({ type: 'registry_change', change: { ...change, records: [...change.records, ...change.records] } }, o.nodeId)).toBe('accept');
    expect(v.known(o)).toHaveLength(2);
  });

  test('for itself and is no member, or has left, is not heard', async () => {
    const [o, v, t] = [at(owner), at(victim), at(teller)];
    await o.add('good');
    net.connect(o, v);
    await net.run(5_000, { untilIdle: false });
    const outside = { ...t, nodeId: stranger.nodeId, name: 'out', key: stranger } as RegistryNode;
    expect(await v.registry.gossiped({ type: 'registry_change', change: setOf(outside, [], {}, stranger) }, t.nodeId)).toBe('ignore');
    expect(rowsOf(v, outside)).toBe('');
    const before = rowsOf(v, o);
    await v.roster.entries([{ departure: o.seal.sealDeparture({ nodeId: o.nodeId, certifiedAtMs: 1, leftAtMs: 1 }) }], t.nodeId);
    expect(await v.registry.gossiped({ type: 'registry_change', change: setOf(o, []) }, t.nodeId)).toBe('ignore');
    expect(rowsOf(v, o)).toBe(before);
  });
});

test('a field that only a newer version knows passes through an older node, to the byte', async () => {
  const [o, v, t] = [at(owner), at(victim), at(teller)];
  net.connect(o, v);
  net.connect(v, t);
  await net.run(5_000, { untilIdle: false });
  net.disconnect(o, v);
  // Field 1000, of a registration as a newer owner writes it.
  const payload = Buffer.concat([WireRegistration.encode(encodeRegistration(registrationOf(o))).finish(), Buffer.from([0xc2, 0x3e, 0x03, 0x6e, 0x65, 0x77])]);
  const record = { payload, signature: o.key.sign(Buffer.concat([Buffer.from(`beckon-registration-v1\0${home}\0`), payload])) };
  await v.registry.gossiped({ type: 'registry_change', change: setOf(o, [record]) }, o.nodeId);
  await net.run(10_000, { untilIdle: false });
  const [arrived] = t.store.read.registrations(o.nodeId);
  expect(Buffer.from(arrived?.record.payload ?? []).equals(payload)).toBe(true);
  expect(arrived?.registration.address).toBe('@x@n0#main');
  expect(rowsOf(t, o)).toBe(rowsOf(v, o));
});
