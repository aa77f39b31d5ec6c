/** G8: whatever happens between nodes, they come to the same registry, and each entry is its owner's own. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { RegistryMesh } from '../../support/registry-mesh.ts';

const node = fc.nat({ max: 3 });
const agent = fc.constantFrom('a', 'b', 'c', 'd');

type Step =
  | { readonly do: 'add' | 'remove'; readonly at: number; readonly agent: string; readonly what: number }
  | { readonly do: 'move'; readonly at: number; readonly what: number }
  | { readonly do: 'deliver'; readonly which: number; readonly how: 'once' | 'again' | 'lost' }
  | { readonly do: 'connect' | 'disconnect'; readonly at: number; readonly to: number }
  | { readonly do: 'pass' | 'set the clock'; readonly ms: number }
  | { readonly do: 'keep' | 'restart' | 'put back'; readonly at: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constantFrom('add' as const, 'add' as const, 'remove' as const), at: node, agent, what: fc.nat({ max: 9 }) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('move' as const), at: node, what: fc.nat({ max: 99 }) }) },
  { weight: 12, arbitrary: fc.record({ do: fc.constant('deliver' as const), which: fc.nat(), how: fc.constantFrom('once' as const, 'once' as const, 'once' as const, 'again' as const, 'lost' as const) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constantFrom('connect' as const, 'connect' as const, 'disconnect' as const), at: node, to: node }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('pass' as const), ms: fc.constantFrom(100, 600, 3_000, 12_000, 40_000) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('set the clock' as const), ms: fc.constantFrom(-10_000_000, -5_000, 5_000, 10_000_000) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('keep' as const, 'restart' as const, 'put back' as const), at: node }) },
);

async function play(net: RegistryMesh, steps: readonly Step[]): Promise<void> {
  const kept = new Map<number, Buffer>();
  for (const each of steps) {
    const at = 'at' in each ? net.nodes[each.at] : undefined;
    if (each.do === 'deliver' && each.how === 'lost') net.wire.splice(each.which % Math.max(1, net.wire.length), 1);
    if (each.do === 'deliver') await net.deliver(each.which, each.how === 'again');
    if (each.do === 'pass') await net.clock.advance(each.ms);
    if (each.do === 'set the clock') net.clock.jump(each.ms);
    if (at === undefined) continue;
    if (each.do === 'add') await at.add(each.agent, String(each.what));
    if (each.do === 'remove') await at.remove(each.agent);
    if (each.do === 'move') at.move(`10.1.0.${each.what}:1`);
    if (each.do === 'keep') kept.set(each.at, at.snapshot());
    if (each.do === 'restart') await at.restart();
    if (each.do === 'put back') await at.restart(kept.get(each.at));
    const to = 'to' in each ? net.nodes[each.to] : undefined;
    if (each.do === 'connect' && to !== undefined) net.connect(at, to);
    if (each.do === 'disconnect' && to !== undefined) net.disconnect(at, to);
  }
}

/** A chain of links is all that there is: the ends never meet. */
function heal(net: RegistryMesh): void {
  for (const [number, each] of net.nodes.entries()) {
    for (const [other, to] of net.nodes.entries()) {
      if (Math.abs(number - other) === 1) net.connect(each, to);
      else net.disconnect(each, to);
    }
  }
}

async function converges(gossiping: number): Promise<void> {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 60 }), async (steps) => {
      const net = await RegistryMesh.of(4, { gossiping });
      await play(net, steps);
      heal(net);
      await net.run(30_000);
      const [first] = net.nodes;
      for (const each of net.nodes) {
        expect(each.rows()).toBe(first?.rows());
        for (const owner of net.nodes) expect(each.known(owner)).toEqual(owner.own());
      }
      expect(new Set(net.nodes.map((each) => each.registry.ownDigest().root)).size).toBe(1);
      await net.stop();
    }),
    // As many as there is time for, on a machine that has other things to do.
    { numRuns: 20, interruptAfterTimeLimit: 15_000, endOnFailure: true },
  );
}

test('any interleaving, loss, repetition, reordering, partition and restart of any histories ends in one registry', () => converges(0), 60_000);

test('the same with gossip among three of four', () => converges(3), 60_000);
