import { spawnSync } from 'node:child_process';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  decodeWorkspace, encodeWorkspace, formatAddress, isFullyQualified, nameFrom, parseAddress, parseName, parseNodeRef, parseWorkspace, shellAddress,
} from '../../../src/domain/address.ts';
import type { Address } from '../../../src/domain/address.ts';
import { BrokerError } from '../../../src/domain/errors.ts';
import { nodeIdOfPublicKey } from '../../../src/domain/ids.ts';
import { neutralise } from '../../../src/domain/text.ts';
import { caught, codeOf, outcome } from './outcome.ts';

/** The hint when no corrected address can be guessed. */
const none = 'an address looks like fabric@laptop/feature-x';
const nodeId = nodeIdOfPublicKey(new Uint8Array(32).fill(7));

const names = fc.stringMatching(/^[a-z0-9]([a-z0-9._-]{0,38}[a-z0-9])?$/).filter((name) => !name.startsWith('k51'));
const nodeIds = fc.uint8Array({ minLength: 32, maxLength: 32 }).map((key) => nodeIdOfPublicKey(key));
const rawWorkspaces = fc.string({ unit: 'binary', minLength: 1, maxLength: 40 });
const addresses: fc.Arbitrary<Address> = fc.record(
  { agent: names, node: fc.oneof(names, nodeIds), workspace: rawWorkspaces.map((raw) => encodeWorkspace(raw)) },
  { requiredKeys: ['agent'] },
);
/** Text made of the pieces an address is made of, legal and not. */
const nearlyAddresses = fc
  .array(fc.oneof(fc.constantFrom('@', '#', '/', '%', '%4', '%41', '%c3%a9', '%C3', '.', '-', '_', 'k51', 'K', 'é', ' ', '\n', '\u0000', nodeId, 'fabric', 'x'.repeat(41)), fc.string({ unit: 'binary', maxLength: 3 })), { maxLength: 12 })
  .map((pieces) => pieces.join(''));

describe('an address', () => {
  test.each<[string, Address]>([
    ['fabric', { agent: 'fabric' }],
    ['@fabric', { agent: 'fabric' }],
    ['@Fabric@LAPTOP#Feature-X', { agent: 'fabric', node: 'laptop', workspace: 'Feature-X' }],
    ['fabric@laptop/feature-x', { agent: 'fabric', node: 'laptop', workspace: 'feature-x' }],
    ['fabric/fix/login', { agent: 'fabric', workspace: 'fix/login' }],
    ['@fabric#fix/login', { agent: 'fabric', workspace: 'fix/login' }],
    ['fabric@laptop', { agent: 'fabric', node: 'laptop' }],
    ['a', { agent: 'a' }],
    ['a.b_c-d@n.local/w', { agent: 'a.b_c-d', node: 'n.local', workspace: 'w' }],
    ['9@0/-', { agent: '9', node: '0', workspace: '-' }],
    [`@fabric@${nodeId.toUpperCase()}#main`, { agent: 'fabric', node: nodeId, workspace: 'main' }],
    ['fabric//x', { agent: 'fabric', workspace: '/x' }],
    ['fabric/%66%c3%a9%2f%23', { agent: 'fabric', workspace: 'f%C3%A9/%23' }],
    [`${'a'.repeat(40)}@${'b'.repeat(40)}/${'w'.repeat(200)}`, { agent: 'a'.repeat(40), node: 'b'.repeat(40), workspace: 'w'.repeat(200) }],
    [`a/${'%23'.repeat(200)}`, { agent: 'a', workspace: '%23'.repeat(200) }],
  ])('%s is read', (text, address) => {
    expect(parseAddress(text)).toEqual(address);
  });

  test.each([
    ['', 1, 'the agent is missing', none],
    ['@', 2, 'the agent is missing', none],
    ['@@laptop', 2, 'the agent is missing', none],
    ['#main', 1, 'the agent is missing', none],
    ['.', 1, 'starts with a letter or digit', none],
    ['-fabric', 1, 'starts with a letter or digit', 'fabric'],
    ['fabric-', 7, 'ends with a letter or digit', 'fabric'],
    ['@fabric._é@laptop#x', 10, 'can\'t contain "é"', 'fabric._e@laptop/x'],
    ['fab ric', 4, 'can\'t contain " "', 'fab-ric'],
    [' fabric', 1, 'can\'t contain " "', 'fabric'],
    ['fabric\n', 7, String.raw`can't contain "\n"`, 'fabric'],
    ['fabric%20x', 7, 'can\'t contain "%"', 'fabric-20x'],
    [`${'a'.repeat(41)}@n`, 41, 'at most 40', `${'a'.repeat(40)}@n`],
    ['K51x', 1, 'can\'t start with k51', 'n-k51x'],
    ['\u212aelvin', 1, 'can\'t contain "\u212a"', 'kelvin'],
    ['fabric@', 8, 'the node is missing', none],
    ['fabric@/main', 8, 'the node is missing', none],
    ['fabric@lap@top', 11, 'one node, after one @', 'fabric@lap-top'],
    ['fabric@_lap', 8, 'starts with a letter or digit', 'fabric@lap'],
    [`fabric@n${'o'.repeat(40)}`, 48, 'at most 40', `fabric@n${'o'.repeat(39)}`],
    ['fabric@k51abc/main', 8, 'not a whole one (62 characters)', none],
    [`fabric@${nodeId}x`, 8, 'not a whole one', none],
    ['fabric@k51-abc', 11, 'a node id can\'t contain "-"', none],
    ['fabric@laptop#', 15, 'the workspace is missing', 'fabric@laptop'],
    ['fabric/', 8, 'the workspace is missing', 'fabric'],
    ['fabric#a#b', 9, 'can\'t contain "#", write it as %23', 'fabric/a%23b'],
    ['fabric/a b', 9, 'write it as %20', 'fabric/a%20b'],
    ['fabric/😀é', 8, 'write it as %F0%9F%98%80', 'fabric/%F0%9F%98%80%C3%A9'],
    ['fabric/a%2', 9, '% must be followed by two hex digits', 'fabric/a%252'],
    ['fabric/%zz', 8, '% must be followed by two hex digits', 'fabric/%25zz'],
    ['fabric/a%C3b', 9, '"%C3" is not UTF-8', 'fabric/a%25C3b'],
    ['fabric/%c0%80', 8, '"%c0%80" is not UTF-8', 'fabric/%25c0%2580'],
    ['fabric/%ed%a0%80', 8, 'is not UTF-8', 'fabric/%25ed%25a0%2580'],
    [`fabric/${'w'.repeat(201)}`, 208, 'at most 200', none],
    [`fabric/${'%23'.repeat(201)}`, 8, 'at most 200', none],
    [`fabric/w${'%C3%A9'.repeat(100)}`, 9, 'at most 200', none],
    [`fabric/${'%C3'.repeat(100_000)}`, 8, 'at most 200', none],
    ['😀', 1, 'can\'t contain "😀"', none],
    ['a😀', 2, 'can\'t contain "😀"', 'a'],
    ['a@b/😀#', 5, 'write it as %F0', 'a@b/%F0%9F%98%80%23'],
  ])('%j is refused at column %d', (text, column, why, better) => {
    const error = caught(() => parseAddress(text));
    expect(error.code).toBe('invalid');
    expect(error.message).toContain(`column ${column}: `);
    expect(error.message).toContain(why);
    expect(error.detail).toEqual({ column: String(column) });
    expect(error.hint).toBe(better === none ? none : `try ${better}`);
    expect(error.message.length).toBeLessThan(300);
  });

  test('parse(format(a)) = a, from the canonical and from the shell form', () => {
    fc.assert(
      fc.property(addresses, (address) => {
        expect(parseAddress(formatAddress(address))).toEqual(address);
        expect(parseAddress(shellAddress(address))).toEqual(address);
      }),
      { numRuns: 1000 },
    );
  });

  test('whatever is accepted has one canonical text, which is a fixpoint, and the shell form means the same', () => {
    fc.assert(
      fc.property(fc.oneof(nearlyAddresses, fc.tuple(names, nearlyAddresses).map(([agent, rest]) => `${agent}/${rest}`)), (text) => {
        const address = outcome(() => parseAddress(text));
        fc.pre(!(address instanceof BrokerError));
        const canonical = formatAddress(address);
        expect(formatAddress(parseAddress(canonical))).toBe(canonical);
        expect(parseAddress(shellAddress(address))).toEqual(address);
      }),
      { numRuns: 2000 },
    );
  });

  test('no text makes it throw anything but invalid, harmless to print, with a hint that is legal', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string({ unit: 'binary', maxLength: 300 }), nearlyAddresses), (text) => {
        const error = outcome(() => parseAddress(text));
        fc.pre(error instanceof BrokerError);
        expect(error.code).toBe('invalid');
        expect(neutralise(error.message + error.hint)).toBe(error.message + error.hint);
        expect(codeOf(() => parseAddress(error.hint?.replace(/^(try|an address looks like) /, '') ?? ''))).toBe('ok');
      }),
      { numRuns: 2000 },
    );
  });

  test('spelling and case of letters make no other address', () => {
    fc.assert(
      fc.property(addresses, (address) => {
        const upper = `@${address.agent.toUpperCase()}${address.node === undefined ? '' : `@${address.node.toUpperCase()}`}`;
        const workspace = address.workspace === undefined ? '' : `/${[...new TextEncoder().encode(decodeWorkspace(address.workspace))].map((byte) => `%${byte.toString(16).padStart(2, '0')}`).join('')}`;
        expect(parseAddress(upper + workspace)).toEqual(address);
      }),
    );
  });

  test('it is fully qualified exactly when node and workspace are given', () => {
    expect(['a', 'a@n', 'a/w', 'a@n/w'].map((text) => isFullyQualified(parseAddress(text)))).toEqual([false, false, false, true]);
  });
});

describe('the shell form', () => {
  test('has only characters that no shell treats specially, and begins with a letter or digit', () => {
    fc.assert(fc.property(addresses, (address) => {
      expect(shellAddress(address)).toMatch(/^[a-z0-9][A-Za-z0-9@%/._-]*$/);
    }));
  });

  test.for<[string, string[]]>([
    ['bash', ['-O', 'extglob', '-O', 'nullglob', '-c']],
    ['zsh', ['-o', 'extendedglob', '-o', 'interactivecomments', '-o', 'magicequalsubst', '-c']],
    ['fish', ['-c']],
    ['sh', ['-c']],
  ])('is passed on by %s as it is', ([shell, options], { skip }) => {
    const texts = fc.sample(addresses, { numRuns: 100, seed: 7 }).map((address) => shellAddress(address));
    const words = [...texts, 'fabric@laptop/feature-x', 'a@b//-', 'a/..', 'a/%7Eroot', 'a@b/%25self'];
    const run = spawnSync(shell, [...options, `printf '%s\\n' ${words.join(' ')}`], { encoding: 'utf8' });
    skip(run.error !== undefined && 'code' in run.error && run.error.code === 'ENOENT', `${shell} is not installed`);
    expect(run.stdout.trimEnd().split('\n')).toEqual(words);
  });
});

describe('a workspace', () => {
  test.each([
    ['feature-x', 'feature-x'],
    ['fix/login', 'fix/login'],
    ['a b', 'a%20b'],
    ['issue#7', 'issue%237'],
    ['50%', '50%25'],
    ['%41', '%2541'],
    ['Grüße', 'Gr%C3%BC%C3%9Fe'],
    [`a!~*'()+@=:`, 'a%21%7E%2A%27%28%29%2B%40%3D%3A'],
  ])('for the branch %j is %s', (raw, workspace) => {
    expect(encodeWorkspace(raw)).toBe(workspace);
    expect(decodeWorkspace(workspace)).toBe(raw);
  });

  test('stands for its raw name, and is canonical', () => {
    fc.assert(
      fc.property(rawWorkspaces, (raw) => {
        const workspace = encodeWorkspace(raw);
        expect(decodeWorkspace(workspace)).toBe(raw.toWellFormed());
        expect(parseWorkspace(workspace)).toBe(workspace);
      }),
    );
  });

  test('counts 200 at most, each byte of an escaped character as one', () => {
    expect(encodeWorkspace('é'.repeat(100))).toHaveLength(600);
    for (const raw of ['', 'é'.repeat(101), 'x'.repeat(201)]) {
      expect(caught(() => encodeWorkspace(raw))).toMatchObject({ code: 'invalid', hint: expect.stringContaining('--workspace') });
    }
    expect(caught(() => parseWorkspace('a b')).message).toContain('column 2: ');
  });
});

describe('a name', () => {
  test.each([
    ['Janes MacBook Pro', 'janes-macbook-pro'],
    ['laptop.local', 'laptop.local'],
    ['Ünïcödé', 'unicode'],
    ['--x--', 'x'],
    ['my  (copy)', 'my-copy'],
    ['k51thing', 'n-k51thing'],
    ['x'.repeat(60), 'x'.repeat(40)],
    [`${'x'.repeat(39)}-y`, 'x'.repeat(39)],
    ['.git', 'git'],
    ['日本語', undefined],
    ['', undefined],
    ['---', undefined],
  ])('is made of %j', (raw, name) => {
    expect(nameFrom(raw)).toBe(name);
  });

  test('made of anything is legal or nothing, and a legal name stays', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string({ unit: 'binary', maxLength: 60 }), fc.string({ maxLength: 60 })), names, (raw, name) => {
        const made = nameFrom(raw) ?? 'x';
        expect(parseName(made)).toBe(made);
        expect(parseName(name)).toBe(name);
        expect(nameFrom(parseName(name))).toBe(name.replace(/-{2,}/g, '-'));
      }),
    );
  });

  test('of a node and its id are told apart', () => {
    expect(parseNodeRef('Laptop')).toEqual({ kind: 'name', name: 'laptop' });
    expect(parseNodeRef(nodeId.toUpperCase())).toEqual({ kind: 'id', nodeId });
    expect(caught(() => parseNodeRef('@laptop'))).toMatchObject({ code: 'invalid', hint: 'try laptop', message: expect.stringContaining('column 1: ') });
    expect(caught(() => parseNodeRef('k51')).message).toContain('62 characters');
    expect(caught(() => parseName('a b'))).toMatchObject({ code: 'invalid', hint: 'try a-b', message: expect.stringContaining('column 2: ') });
  });
});
