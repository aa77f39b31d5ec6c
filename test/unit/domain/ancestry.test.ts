import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ancestryOf, flawOfChain, maxDepth } from '../../../src/domain/ancestry.ts';
import type { Parent } from '../../../src/domain/ancestry.ts';
import { invocationIdOf } from '../../../src/domain/ids.ts';
import type { Ancestry } from '../../../src/domain/invocation.ts';

const idAt = (number: number) => invocationIdOf(`01J9Z6M3T4V8Q2X7K5B1C0D9${String(number).padStart(2, '0')}`);

/** The chain of agents that each invoked the next: the ancestry of the last. */
function chainOf(targets: readonly string[]): Ancestry {
  let parent: Parent | undefined;
  for (const [index, target] of targets.entries()) parent = { invocationId: idAt(index), target, ancestry: ancestryOf(idAt(index), parent) };
  return parent?.ancestry ?? ancestryOf(idAt(0), undefined);
}

describe('the ancestry of an invocation', () => {
  test('of a person is none: it is its own root', () => {
    expect(ancestryOf(idAt(1), undefined)).toEqual({ rootId: idAt(1), depth: 0, path: [] });
  });

  test('of an agent names its invocation as parent, the first one as root, and all targets between', () => {
    expect(chainOf(['@a@x#m', '@b@y#m', '@c@x#m'])).toEqual({ parentId: idAt(1), rootId: idAt(0), depth: 2, path: ['@a@x#m', '@b@y#m'] });
  });

  test('a chain is taken exactly when nobody is in it twice and it is not too deep', () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...'abcdefghijklmn'), { minLength: 1, maxLength: 12 }), (targets) => {
        const last = targets.at(-1) ?? '';
        const flaw = flawOfChain(last, chainOf(targets));
        const isFine = !targets.slice(0, -1).includes(last) && targets.length - 1 <= maxDepth;
        expect(flaw === undefined).toBe(isFine);
        if (flaw !== undefined) expect(flaw).toMatchObject({ code: 'conflict', message: expect.stringContaining(targets.join(' → ')) });
      }),
    );
  });

  test('a depth that its path does not bear out counts all the same', () => {
    expect(flawOfChain('@a@x#m', { parentId: idAt(1), rootId: idAt(0), depth: maxDepth + 1, path: [] })).toMatchObject({ code: 'conflict' });
    const long = Array.from({ length: maxDepth + 1 }, (_, index) => `@a${index}@x#m`);
    expect(flawOfChain('@a@x#m', { rootId: idAt(0), depth: 0, path: long })).toMatchObject({ code: 'conflict' });
  });
});
