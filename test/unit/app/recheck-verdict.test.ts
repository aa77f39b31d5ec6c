import { expect, test } from 'vitest';
import { judgeSession } from '../../../src/app/recheck-verdict.ts';
import type { Evidence } from '../../../src/app/recheck-verdict.ts';
import type { TailnetIdentity } from '../../../src/domain/tailnet.ts';

const desktop: TailnetIdentity = { id: 'n2', name: 'desktop', user: 'ann', tags: [], addresses: ['100.64.0.2'], isExpired: false, isShared: false, isRouter: false, capabilities: new Map() };
const { user: _ann, ...nobody } = desktop;
const tagged = (...tags: string[]): TailnetIdentity => ({ ...nobody, tags });
const listed = { isOnline: true, isExpired: false };

test.each<[string, Partial<Evidence>, 'keep' | 'probe' | 'cut', RegExp?]>([
  ['nothing changed', {}, 'keep'],
  ['the same tags in another order', { before: tagged('tag:a', 'tag:b'), now: tagged('tag:b', 'tag:a') }, 'keep'],
  ['a new name', { now: { ...desktop, name: 'tower' } }, 'keep'],
  ['nobody is at the address', { now: undefined, machine: undefined }, 'probe', /no longer knows desktop/],
  ['it is not listed', { machine: undefined }, 'probe', /no longer lists desktop/],
  ['it is offline', { machine: { ...listed, isOnline: false } }, 'probe', /calls desktop offline/],
  ['its key has expired, by whois', { now: { ...desktop, isExpired: true } }, 'probe', /key of desktop has expired/],
  ['its key has expired, by the status', { machine: { ...listed, isExpired: true } }, 'probe', /key of desktop has expired/],
  ['other tags', { before: tagged('tag:a'), now: tagged('tag:a', 'tag:b') }, 'probe', /other tags/],
  ['another machine has the address', { now: { ...desktop, id: 'n9', name: 'tower' } }, 'cut', /another machine now: tower/],
  ['another machine, offline', { now: { ...desktop, id: 'n9' }, machine: { ...listed, isOnline: false } }, 'cut'],
  ['another user', { now: { ...desktop, user: 'bob' } }, 'cut', /belongs to bob in the tailnet now, no longer to ann/],
  ['a person’s machine was tagged', { now: tagged('tag:a') }, 'cut', /belongs to its tags/],
  ['a tagged one is a person’s', { before: tagged('tag:a') }, 'cut', /belongs to ann/],
])('%s', (_name, change, kind, why) => {
  const verdict = judgeSession({ before: desktop, now: desktop, machine: listed, ...change });
  expect(verdict.kind).toBe(kind);
  if (why !== undefined) expect(verdict).toHaveProperty('why', expect.stringMatching(why));
});
