import { describe, expect, test } from 'vitest';
import { parseCaller, textOfCaller } from '../../../src/domain/policy-caller.ts';
import { nodeIdFor } from '../../support/temp-store.ts';

test.each([
  ['*', { kind: 'all' }],
  ['person:bob', { kind: 'person', name: 'bob' }],
  ['person:Ann O’Neil@example.com', { kind: 'person', name: 'Ann O’Neil@example.com' }],
  ['node:Studio', { kind: 'node', name: 'studio' }],
  [`node:${nodeIdFor(2)}`, { kind: 'node-id', nodeId: nodeIdFor(2) }],
  ['tag:ci', { kind: 'tag', tag: 'tag:ci' }],
  ['cap:example.com/cap/x', { kind: 'capability', name: 'example.com/cap/x' }],
])('%s', (text, pattern) => {
  expect(parseCaller(text)).toEqual(pattern);
  expect(parseCaller(textOfCaller(parseCaller(text)))).toEqual(pattern);
});

describe('refused is', () => {
  test.each([
    ['bob', 'does not say what it names', 'person:bob or node:bob?'],
    ['ann@example.com', 'does not say what it names', 'person:ann@example.com or node:ann@example.com?'],
    [nodeIdFor(2), 'does not say what it names', `write node:${nodeIdFor(2)}`],
    ['Person:bob', 'does not say what it names', 'one of person:NAME'],
    ['', 'does not say what it names', 'one of'],
    ['**', 'does not say what it names', 'one of'],
    ['person:', 'names nobody', 'one of'],
    ['person: bob', 'no blank around it', 'one of'],
    ['person:bob\u200b', 'none of them invisible', 'one of'],
    ['person:tag:ci', 'a tag is no person: write tag:ci', 'one of'],
    ['tag:', 'names nobody', 'one of'],
    ['tag:a b', 'spaces', 'one of'],
    ['cap:nothing', 'a capability looks like', 'one of'],
  ])('%j: %s', (text, why, hint) => {
    expect(() => parseCaller(text)).toThrow(expect.objectContaining({ code: 'invalid', message: expect.stringContaining(why), hint: expect.stringContaining(hint) }));
  });

  test('a node’s name that can’t be one', () => expect(() => parseCaller('node:my node')).toThrow(expect.objectContaining({ code: 'invalid' })));
});
