import { expect, test } from 'vitest';
import type { NodeId } from '../../../src/domain/ids.ts';
import { chosenNeighbours, mostDials, Neighbourhood, wantedNeighbours } from '../../../src/gossip/neighbourhood.ts';
import { nodeIdFor } from '../../support/temp-store.ts';

const ids = (count: number, from = 1): NodeId[] => Array.from({ length: count }, (_, index) => nodeIdFor(from + index));
const none = new Set<NodeId>();
const neighbours = (inbound: readonly NodeId[], outbound: readonly NodeId[]) => ({ inbound: new Set(inbound), outbound: new Set(outbound) });

/** A random that is none, for tests: 0, 0.3, 0.6, 0.9, 0.2, … */
function steps(): () => number {
  let last = -0.3;
  return () => (last = (last + 0.3) % 1);
}

test('it dials as many as it lacks, none twice and none that is dialled or connected', () => {
  const hood = new Neighbourhood(steps());
  const all = ids(30);
  const first = hood.toDial(all, neighbours([], []), none, 0);
  expect([first.length, new Set(first).size]).toEqual([mostDials, mostDials]);
  expect(hood.toDial(all, neighbours([], []), new Set(first), 0)).toEqual([]);
  expect(hood.toDial(all, neighbours(all.slice(0, 2), all.slice(2, 6)), new Set(all.slice(6, 8)), 0)).toEqual([]);
  const more = hood.toDial(all, neighbours(all.slice(0, 3), all.slice(3, wantedNeighbours - 1)), none, 0);
  expect(more).toHaveLength(1);
  expect(more.filter((each) => all.slice(0, wantedNeighbours - 1).includes(each))).toEqual([]);
});

test('however many dial it, it has some of its own choice', () => {
  const all = ids(40);
  const hood = new Neighbourhood(steps());
  expect(hood.toDial(all, neighbours(all.slice(0, 16), all.slice(16, 16 + chosenNeighbours - 1)), none, 0)).toHaveLength(1);
});

test('one that could not be reached is left for longer each time, and forgiven when it was', () => {
  const [one = nodeIdFor(1)] = ids(1);
  const hood = new Neighbourhood(() => 0.999);
  const dials = (nowMs: number): number => hood.toDial([one], neighbours([], []), none, nowMs).length;
  hood.failed(one, 0);
  expect([dials(1500), dials(2000)]).toEqual([0, 1]);
  hood.failed(one, 2000);
  expect([dials(4500), dials(5000)]).toEqual([0, 1]);
  for (let failures = 0; failures < 20; failures += 1) hood.failed(one, 5000);
  expect([dials(60_000), dials(66_000)]).toEqual([0, 1]);
  hood.failed(one, 66_000);
  hood.forgive(one);
  expect(dials(66_000)).toBe(1);
});

test('one of its choice gives way to one that is no neighbour, when there is one', () => {
  const all = ids(20);
  const hood = new Neighbourhood(steps());
  const exchange = hood.exchange(all, neighbours(all.slice(0, 4), all.slice(4, 8)), none, 0);
  expect(all.slice(4, 8)).toContain(exchange?.leave);
  expect(all.slice(8)).toContain(exchange?.dial);
  expect(hood.exchange(all.slice(0, 8), neighbours(all.slice(0, 4), all.slice(4, 8)), none, 0)).toBeUndefined();
});

test('two crowds that a partition left become one: exchanges lead across', () => {
  const [left, right] = [ids(10), ids(10, 11)];
  let seed = 7;
  const random = (): number => (seed = (seed * 16807) % 2147483647) / 2147483647;
  const chosen = new Map([...left, ...right].map((each) => [each, new Set<NodeId>()]));
  // Each is content with its own crowd.
  for (const crowd of [left, right]) for (const node of crowd) for (const other of crowd.filter((each) => each !== node).slice(0, chosenNeighbours)) chosen.get(node)?.add(other);
  const hoods = new Map([...chosen.keys()].map((each) => [each, new Neighbourhood(random)]));
  for (const [node, outbound] of chosen) {
    const others = [...chosen.keys()].filter((each) => each !== node);
    const inbound = others.filter((each) => chosen.get(each)?.has(node) && !outbound.has(each));
    const exchange = hoods.get(node)?.exchange(others, { inbound: new Set(inbound), outbound }, none, 0);
    if (exchange === undefined) continue;
    outbound.delete(exchange.leave);
    outbound.add(exchange.dial);
  }
  const crossing = left.flatMap((node) => [...(chosen.get(node) ?? [])].filter((each) => right.includes(each)));
  expect(crossing.length).toBeGreaterThan(2);
});
