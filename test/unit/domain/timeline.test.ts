import fc from 'fast-check';
import { expect, test } from 'vitest';
import { encodeHlc } from '../../../src/domain/hlc.ts';
import type { Hlc } from '../../../src/domain/hlc.ts';
import { hlcBefore, Timeline } from '../../../src/domain/timeline.ts';
import { nodeIdFor } from '../../support/temp-store.ts';

const [a, b, c] = [nodeIdFor(1), nodeIdFor(2), nodeIdFor(3)];
const at = (ms: number): Hlc => encodeHlc({ ms, counter: 0 });
const item = (nodeId: typeof a, ms: number) => ({ nodeId, hlc: at(ms) });
const windowMs = 100;

test('what is told is in the order of the clocks, whoever tells first, and nothing is lost or doubled', () => {
  // Of each node: how far its clock goes from one fact to the next, and how many it tells at once.
  const story = fc.array(fc.record({ steps: fc.array(fc.nat({ max: 5 }), { minLength: 1, maxLength: 30 }), page: fc.integer({ min: 1, max: 7 }) }), { minLength: 1, maxLength: 4 });
  fc.assert(
    fc.property(story, fc.array(fc.nat({ max: 3 }), { maxLength: 60 }), (nodes, turns) => {
      const timeline = new Timeline<ReturnType<typeof item>>(windowMs);
      const left = nodes.map(({ steps, page }, index) => {
        let ms = 1000;
        return { nodeId: nodeIdFor(index + 1), page, facts: steps.map((step) => item(nodeIdFor(index + 1), (ms += step))) };
      });
      for (const { nodeId } of left) timeline.expect(nodeId);
      const told: { item: ReturnType<typeof item>; late: boolean }[] = [];
      const all = left.flatMap(({ facts }) => [...facts]);
      for (const turn of [...turns, ...left.flatMap((_, index) => Array.from({ length: 40 }, () => index))]) {
        const node = left[turn % left.length];
        if (node === undefined) continue;
        const facts = node.facts.splice(0, node.page);
        const isAll = node.facts.length === 0;
        timeline.add(node.nodeId, facts, isAll ? at(9999) : facts.at(-1)?.hlc, 0);
        told.push(...timeline.take(0));
      }
      expect(told.some(({ late }) => late)).toBe(false);
      expect(told.map((each) => each.item.hlc)).toEqual(all.map(({ hlc }) => hlc).toSorted());
      expect(new Set(told.map((each) => each.item)).size).toBe(all.length);
    }),
  );
});

test('nothing is told before all that are waited for have said that they have nothing earlier', () => {
  const timeline = new Timeline<ReturnType<typeof item>>(windowMs);
  for (const node of [a, b]) timeline.expect(node);
  timeline.add(a, [item(a, 10), item(a, 20)], at(20), 0);
  expect(timeline.take(0)).toEqual([]);
  timeline.add(b, [], at(15), 0);
  expect(timeline.take(0).map((each) => each.item.hlc)).toEqual([at(10)]);
  timeline.add(b, [item(b, 16)], at(30), 0);
  expect(timeline.take(0).map((each) => [each.item.hlc, each.late])).toEqual([[at(16), false], [at(20), false]]);
});

test('a node that says nothing holds the others up no longer than the window; what it tells afterwards is late, and the order goes on', () => {
  const timeline = new Timeline<ReturnType<typeof item>>(windowMs);
  for (const node of [a, b]) timeline.expect(node);
  timeline.add(a, [item(a, 10), item(a, 50)], at(60), 0);
  expect(timeline.take(windowMs - 1)).toEqual([]);
  expect(timeline.take(windowMs).map((each) => each.item.hlc)).toEqual([at(10), at(50)]);
  timeline.add(b, [item(b, 40), item(b, 55)], at(60), windowMs);
  expect(timeline.take(windowMs).map((each) => [each.item.hlc, each.late])).toEqual([[at(40), true], [at(55), false]]);
});

test('a node that is lost is not waited for; what it had told is told', () => {
  const timeline = new Timeline<ReturnType<typeof item>>(windowMs);
  for (const node of [a, b, c]) timeline.expect(node);
  timeline.add(a, [item(a, 10)], at(20), 0);
  timeline.add(c, [item(c, 12)], at(12), 0);
  timeline.lose(b);
  expect(timeline.take(0).map((each) => each.item.nodeId)).toEqual([a, c]);
  expect([timeline.held(a), timeline.held(c)]).toEqual([0, 0]);
});

test('a clock is put back by so much, and not below its beginning', () => {
  expect(hlcBefore(encodeHlc({ ms: 1000, counter: 7 }), 250)).toBe(at(750));
  expect(hlcBefore(at(100), 250)).toBe(at(0));
});
