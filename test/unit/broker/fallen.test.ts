import { expect, test } from 'vitest';
import { fallenWith, fallenWithout } from '../../../src/broker/fallen.ts';
import { BrokerError } from '../../../src/domain/errors.ts';
import { mostKept } from '../../../src/domain/revocation.ts';
import type { CertificateChain } from '../../../src/domain/trust.ts';
import { nodeIdFor, utf8 } from '../../support/temp-store.ts';

const [me, thief] = [nodeIdFor(0), nodeIdFor(1)];
const fallen = utf8('fallen');
const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString();
/** Who it is, by which issuer. */
const chainOf = (who: string, issuer = 'fallen'): CertificateChain => ({ leaf: utf8(who), issuer: utf8(issuer) });

function partsOf(members: readonly { readonly nodeId: ReturnType<typeof nodeIdFor>; readonly chain: CertificateChain }[]): Parameters<typeof fallenWithout>[0] {
  return {
    store: { read: { membership: () => ({ chain: chainOf('me') }), members: () => members } } as never,
    self: { nodeId: me },
    seal: {
      isBy: ({ issuer }, other) => text(issuer) === text(other),
      whoIs: ({ leaf }) => {
        if (text(leaf) === 'misspelt') throw new BrokerError('unauthenticated', 'it does not name its issuer');
        return text(leaf);
      },
    },
  };
}

test('members stay, whoever certified them; the removed one and what has no form that counts do not', () => {
  const parts = partsOf([
    { nodeId: thief, chain: chainOf('thief') },
    { nodeId: nodeIdFor(2), chain: chainOf('desktop') },
    { nodeId: nodeIdFor(3), chain: chainOf('server', 'other') },
    { nodeId: nodeIdFor(4), chain: chainOf('misspelt') },
  ]);
  const said = fallenWithout(parts, thief, fallen);
  expect(said).toEqual({ issuer: fallen, kept: [nodeIdFor(2), me], keptAs: ['desktop', 'me', 'server'] });
  // As another node hears it that has the same.
  expect(fallenWith(parts, { nodeId: thief, fallen: said })).toEqual([nodeIdFor(4)]);
  expect(fallenWith(parts, { nodeId: thief, fallen: { issuer: fallen, kept: [nodeIdFor(2)] } })).toEqual([nodeIdFor(4), me]);
});

test('where it certified more than one word can name, nothing is said, and whoever removes it is not out with it', () => {
  const members = Array.from({ length: mostKept }, (_, index) => ({ nodeId: nodeIdFor(index + 2), chain: chainOf(`node ${index}`) }));
  expect(() => fallenWithout(partsOf(members), thief, fallen)).toThrow(/names 2000 at most/);
  expect(fallenWithout(partsOf(members.slice(1)), thief, fallen).kept).toContain(me);
});
