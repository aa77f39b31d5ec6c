/** Removals are a set that only grows: what a node makes of them does not depend on the order in which it heard of them. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { MeshId, NodeId } from '../../../src/domain/ids.ts';
import { belongs } from '../../../src/domain/membership.ts';
import type { StoredRevocation } from '../../../src/domain/revocation.ts';
import type { Member, Membership, Store } from '../../../src/domain/store-port.ts';
import { memoryDatabase, storeOver } from '../../support/memory-store.ts';
import { nodeIdFor, Story } from '../../support/temp-store.ts';

const utf8 = (text: string): Buffer => Buffer.from(text);
const me = nodeIdFor(1);
const issuers = ['r', 's', 'l'] as const;
/** The nodes of the three issuers, a member that one each of them certified, and one that nobody knows. */
const nodes: readonly NodeId[] = [2, 3, 4, 5, 6, 7, 8].map((each) => nodeIdFor(each));
const certifiedBy = new Map(nodes.slice(3, 6).map((node, index) => [node, issuers[index] ?? 'r']));
const membership: Membership = { meshId: 'mesh1' as MeshId, meshName: 'home', name: 'laptop', owner: 'ada', rootDer: utf8('root'), chain: { leaf: utf8('me'), issuer: utf8('root') }, isIssuer: true };

interface Word {
  readonly node: NodeId;
  readonly signer: (typeof issuers)[number];
  readonly atMs: number;
  readonly fells: (typeof issuers)[number] | undefined;
  readonly kept: readonly NodeId[];
}

const words = fc.uniqueArray(
  fc.record<Word>({
    node: fc.constantFrom(...nodes),
    signer: fc.constantFrom(...issuers),
    atMs: fc.integer({ min: 1, max: 4 }),
    fells: fc.option(fc.constantFrom(...issuers), { nil: undefined }),
    kept: fc.subarray([...certifiedBy.keys()]),
  }).filter(({ signer, fells }) => signer !== fells),
  { minLength: 1, maxLength: 8, selector: (each) => JSON.stringify(each) },
);

const orders = words.chain((set) => fc.tuple(fc.shuffledSubarray(set, { minLength: set.length }), fc.shuffledSubarray(set, { minLength: set.length }), fc.shuffledSubarray(set, { minLength: 0 })));

function stored({ node, signer, atMs, fells, kept }: Word): StoredRevocation {
  return {
    revocation: { nodeId: node, name: 'lost', by: signer, revokedAtMs: atMs, ...(fells === undefined ? {} : { fallen: { issuer: utf8(fells), kept } }) },
    record: { payload: utf8(JSON.stringify([node, signer, atMs, fells, kept])), signature: utf8('signed') },
  };
}

/** A mesh that nobody was removed from. To make a store takes longer than all that is done with it. */
async function entered(store: Store): Promise<Store> {
  if (store.read.mesh() !== undefined || store.read.removedFrom() !== undefined) await store.write.leaveMesh({ stamp: new Story().stamp() });
  const members = nodes.slice(0, 6).map((nodeId): Member => ({ nodeId, name: `n-${nodeId.slice(-6)}`, owner: 'ada', chain: { leaf: utf8(nodeId), issuer: utf8(certifiedBy.get(nodeId) ?? 'root') }, notBeforeMs: 10, addresses: [] }));
  await store.write.saveMembership({ stamp: new Story().stamp(), membership, members, what: 'mesh.created' });
  return store;
}

const outAt = ({ read }: Store): ReadonlySet<NodeId> => new Set([...read.revocations().map(({ revocation }) => revocation.nodeId), ...read.members().filter((each) => !belongs(each)).map(({ nodeId }) => nodeId)]);
const fallenAt = ({ read }: Store): ReadonlySet<string> => new Set(read.fallenIssuers().map(({ revocation: { fallen } }) => Buffer.from(fallen?.issuer ?? []).toString()));

/** As `Removal` gives them to it, one after the other; nothing that was so is so no more. */
async function told(store: Store, order: readonly Word[]): Promise<void> {
  for (const word of order) {
    const [out, fallen] = [outAt(store), fallenAt(store)];
    const others = word.fells === undefined ? [] : [...certifiedBy].filter(([node, by]) => by === word.fells && node !== word.node && !word.kept.includes(node)).map(([node]) => node);
    await store.write.saveRevocations({ stamp: new Story().stamp(), revocations: [{ ...stored(word), signer: word.signer, with: others }] });
    expect([...out].filter((each) => !outAt(store).has(each))).toEqual([]);
    expect([...fallen].filter((each) => !fallenAt(store).has(each))).toEqual([]);
  }
}

const knownAt = ({ read }: Store): unknown => ({
  removals: read.revocations(),
  falls: read.fallenIssuers(),
  told: nodes.map((node) => read.revocationsOf(node)),
  out: [...outAt({ read } as Store)].toSorted(),
});

test('whatever the order of the same removals, all nodes know the same; who is out stays out, and what has fallen stays so', async () => {
  const stores = [storeOver(memoryDatabase(), me), storeOver(memoryDatabase(), me)] as const;
  await fc.assert(
    fc.asyncProperty(orders, async ([one, another, again]) => {
      const [a, b] = [await entered(stores[0]), await entered(stores[1])];
      await told(a, one);
      await told(b, [...another, ...again]);
      expect(numbered(knownAt(b))).toEqual(numbered(knownAt(a)));
    }),
    { numRuns: 60 },
  );
}, 60_000);

/** Rows come by the numbers that a store gave nodes, which are its own. */
function numbered(known: unknown): unknown {
  const { removals, falls, ...rest } = known as { readonly removals: readonly StoredRevocation[]; readonly falls: readonly StoredRevocation[] };
  const payloads = (all: readonly StoredRevocation[]): string[] => all.map(({ record }) => Buffer.from(record.payload).toString()).toSorted();
  return { removals: payloads(removals), falls: payloads(falls), ...rest };
}
