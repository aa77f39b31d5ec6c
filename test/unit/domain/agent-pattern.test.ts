import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseAddress } from '../../../src/domain/address.ts';
import { coversAgent, matches, parseAgentPattern } from '../../../src/domain/agent-pattern.ts';
import { nodeIdFor } from '../../support/temp-store.ts';

const covers = (pattern: string, address: string): boolean => {
  const { agent, node = 'laptop', workspace = 'main' } = parseAddress(address);
  return coversAgent(parseAgentPattern(pattern), { agent, node, workspace, nodeId: nodeIdFor(1) });
};

describe('a pattern', () => {
  test.each([
    ['*', '@fabric@laptop#main', true],
    ['@Fabric', '@fabric@laptop#main', true],
    ['fabric@LAPTOP', '@fabric@laptop#main', true],
    ['fabric#main', '@fabric@laptop#main', true],
    ['fabric/main', '@fabric@laptop#Main', false],
    ['*@*/*', '@fabric@laptop#main', true],
    ['fab*c', '@fabric@laptop#main', true],
    ['fab*x', '@fabric@laptop#main', false],
    ['fabric/fix/*', '@fabric@laptop#fix/login', true],
    ['fabric/*fix*', '@fabric@laptop#hot/fixes', true],
    // One spelling of a workspace is as good as another, and a star in one is no pattern.
    ['fabric/a%20b', '@fabric@laptop#a%20b', true],
    ['fabric/%61', '@fabric@laptop#a', true],
    ['fabric/a%2Ab', '@fabric@laptop#a%2ab', true],
    ['fabric/a%2Ab', '@fabric@laptop#axb', false],
    [`fabric@${nodeIdFor(1)}`, '@fabric@renamed#main', true],
    [`fabric@${nodeIdFor(2)}`, '@fabric@laptop#main', false],
  ])('%s of %s: %s', (pattern, address, expected) => expect(covers(pattern, address)).toBe(expected));

  test.each([
    ['', 'the agent is missing'],
    ['@', 'the agent is missing'],
    ['fabric@', 'the node is missing'],
    ['fabric/', 'the workspace is missing'],
    ['a@b@c', 'it has one node'],
    ['fab ric', 'letters, digits'],
    ['fаbric', 'letters, digits'],
    ['-fabric', 'starts and ends with'],
    ['k51fabric', 'is a node id'],
    ['fabric@k51abc', 'not a whole one'],
    ['fabric/a b', "can't contain"],
    ['fabric/%f', '% must be followed'],
    ['a'.repeat(41), 'at most 40'],
  ])('%j is refused: %s', (text, why) => {
    expect(() => parseAgentPattern(text)).toThrow(expect.objectContaining({ code: 'invalid', message: expect.stringContaining(why) }));
  });

  test('is read as it is shown', () => {
    for (const text of ['*', 'fabric', 'fab*@lap*/fix/*', 'fabric/a%20b']) expect(parseAgentPattern(parseAgentPattern(text).text)).toEqual(parseAgentPattern(text));
  });
});

test('stars match as a regular expression does, and in no time whatever they are', () => {
  const piece = fc.string({ unit: fc.constantFrom('a', 'b', '*'), maxLength: 12 });
  const text = fc.string({ unit: fc.constantFrom('a', 'b'), maxLength: 16 });
  fc.assert(fc.property(piece, text, (pattern, of) => {
    expect(matches(pattern, of)).toBe(new RegExp(`^${pattern.replaceAll('*', '.*')}$`).test(of));
  }));
  const fromMs = performance.now();
  expect(matches(`${'a*'.repeat(100)}b`, 'a'.repeat(600))).toBe(false);
  expect(performance.now() - fromMs).toBeLessThan(1_000);
});
