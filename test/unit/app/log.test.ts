import { describe, expect, test } from 'vitest';
import { createLog } from '../../../src/app/log.ts';
import { writtenFields } from '../../../src/app/log-schema.ts';
import { BrokerError, toBrokerError } from '../../../src/domain/errors.ts';
import type { LogFields } from '../../../src/domain/log-fields.ts';
import { nodeIdFor } from '../../support/temp-store.ts';

const words = 'the quick brown fox';

function logged(): { log: ReturnType<typeof createLog>; lines: Record<string, any>[]; refused: string[] } {
  const lines: Record<string, any>[] = [];
  const refused: string[] = [];
  const log = createLog({
    clock: { now: () => Date.parse('2026-03-01T14:05:09.123Z') },
    write: (line) => {
      expect(line).toMatch(/^\{.*\}\n$/);
      lines.push(JSON.parse(line) as Record<string, any>);
    },
    onRefused: (field) => refused.push(field),
  });
  return { log, lines, refused };
}

const written = (error: unknown): string => JSON.stringify(writtenFields({ err: error }));

describe('a line of the log', () => {
  test('is one JSON object with type, time, level, node, fields and words', () => {
    const { log, lines } = logged();
    log.setNode(nodeIdFor(1));
    log.warn({ peer: 'laptop', peerId: nodeIdFor(2), count: 3 }, 'something happened');
    expect(lines).toEqual([{ type: 'log', at: '2026-03-01T14:05:09.123Z', level: 'warn', nodeId: nodeIdFor(1), peer: 'laptop', peerId: nodeIdFor(2), count: 3, msg: 'something happened' }]);
  });

  test('drives no terminal that it is shown on, and says the same', () => {
    const written: string[] = [];
    createLog({ clock: { now: () => 0 }, write: (line) => void written.push(line) }).warn({ why: '\u009b2J\u202egnp.exe\u007f\u001b]52;c;x\u0007' }, 'it said so');
    expect(written).toHaveLength(1);
    expect(written[0]).toMatch(/^[\u0020-\u007e]+\n$/);
    expect(JSON.parse(written[0] ?? '')).toMatchObject({ why: '\u009b2J\u202egnp.exe\u007f\u001b]52;c;x\u0007' });
  });

  test('of a flight names its invocation too', () => {
    expect(writtenFields({ flightId: 'flt_01M7Y4MNNBY3KJE6GA3HJTWAA5' })).toEqual({ flightId: 'flt_01M7Y4MNNBY3KJE6GA3HJTWAA5', invocationId: 'inv_01M7Y4MNNBY3KJE6GA3HJTWAA5' });
  });

  test('is written from its level on, which can be changed', () => {
    const { log, lines } = logged();
    log.debug({}, 'not yet');
    log.setLevel('debug');
    log.debug({}, 'now');
    log.setLevel('error');
    log.warn({}, 'no more');
    expect(lines.map(({ msg }) => msg as string)).toEqual(['now']);
  });

  test('has no field that the schema does not know, nor one of another kind, nor what is inside of one', () => {
    const { log, lines, refused } = logged();
    const careless = { task: words, env: [words], argv: [words], peer: { name: words }, count: words, addresses: [{ words }], constructor: words, __proto__: { token: words }, code: 'ok' };
    log.error(careless as unknown as LogFields, 'x');
    expect(JSON.stringify(lines)).not.toContain('quick');
    expect(lines[0]).toMatchObject({ code: 'ok' });
    expect(refused.toSorted()).toEqual(['addresses', 'argv', 'constructor', 'count', 'env', 'peer', 'task']);
  });

  test('is bounded, and what looks like a token or a key goes no further', () => {
    const { log, lines } = logged();
    log.info({ why: `bkn1.${'A'.repeat(90)} and flt_01M7Y4MNNBY3KJE6GA3HJTWAA5.${'b'.repeat(43)}`, hint: 'x'.repeat(9000) }, 'see -----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIA\n-----END PRIVATE KEY----- and tskey-api-k123');
    expect(lines[0]).toMatchObject({ why: '[redacted] and [redacted]', msg: 'see [redacted] and [redacted]' });
    expect(lines[0]?.['hint']).toHaveLength(500);
  });
});

describe('what was thrown', () => {
  test('by us is its code and its words, without detail and candidates', () => {
    const error = new BrokerError('denied', 'bob may not', { hint: 'ask ada', detail: { said: words }, candidates: [{ address: words }] });
    expect(JSON.parse(written(error))).toEqual({ err: { code: 'denied', message: 'bob may not' } });
  });

  test.each<[string, () => unknown]>([
    ['a program that can not be run, with its arguments', () => Object.assign(new Error(`spawn x ${words}`), { code: 'ENOENT', syscall: 'spawn x', path: 'x', spawnargs: [words], cmd: words })],
    ['what a parser could not read', () => caught(() => JSON.parse(words))],
    ['an argument that Node refuses', () => caught(() => new URL(words))],
    ['a key put on a text', () => caught(() => Object.defineProperty(words as unknown as object, 'x', {}))],
    ['a word looked for in a text', () => caught(() => 'x' in (words as unknown as object))],
    ['what is called and no function', () => caught(() => ({ [words]: 1 as unknown as () => void })[words]!())],
    ['an error of a library with fields of its own', () => Object.assign(new Error(words), { details: words, metadata: { a: words }, data: words })],
    ['a text', () => words],
    ['an object', () => ({ words })],
    ['many lines', () => new Error(`a\n    at ${words} (/x)\n${words}`)],
    ['what ours has for its cause', () => toBrokerError(new Error(words, { cause: words }))],
    ['several', () => new AggregateError([new Error(words)], words)],
  ])('by others: of %s no text is written', (_what, make) => {
    expect(written(make())).not.toContain('quick');
  });

  test('by others: its kind, its code, what the system was asked, and where', () => {
    const error = Object.assign(new Error('write failed'), { code: 'ENOSPC', syscall: 'write', path: '/x' });
    expect(JSON.parse(written(toBrokerError(error)))).toMatchObject({ err: { code: 'internal', cause: { type: 'Error', code: 'ENOSPC', syscall: 'write', path: '/x', at: expect.arrayContaining([expect.stringContaining('log.test.ts:')]) } } });
  });

  test('by the engine says what it was, without what stands in quotes', () => {
    expect(JSON.parse(written(caught(() => (undefined as unknown as string).length)))).toMatchObject({ err: { type: 'TypeError', message: 'Cannot read properties of undefined (reading …)' } });
  });

  test('in a circle of causes ends', () => {
    const [one, two] = [new Error('a'), new Error('b')];
    one.cause = two;
    two.cause = one;
    expect(written(one).length).toBeLessThan(10_000);
  });
});

function caught(work: () => unknown): unknown {
  try {
    work();
  } catch (error) {
    return error;
  }
  throw new Error('nothing was thrown');
}
