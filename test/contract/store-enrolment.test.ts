import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Applicant } from '../../src/domain/admit-rule.ts';
import type { Member } from '../../src/domain/store-port.ts';
import { openReading } from '../../src/store/connection.ts';
import { nodeIdFor, openTempStore, Story, utf8 } from '../support/temp-store.ts';
import type { TempStore } from '../support/temp-store.ts';

const dayMs = 86_400_000;
let temp: TempStore;
let story: Story;
beforeEach(async () => {
  temp = await openTempStore();
  story = new Story();
});
afterEach(() => temp[Symbol.asyncDispose]());

const applicant = (number: number, changes: Partial<Applicant> = {}): Omit<Applicant, 'sinceMs'> => ({ nodeId: nodeIdFor(number), name: `n${number}`, address: '100.64.0.5:7423', login: 'bob', tags: [], why: 'no rule', ...changes });
const member = (number: number): Member => ({ nodeId: nodeIdFor(number), name: `n${number}`, owner: 'bob', chain: { leaf: utf8('leaf'), issuer: utf8('issuer') }, notBeforeMs: 1, addresses: [] });
const record = (each: Omit<Applicant, 'sinceMs'>) => temp.store.write.recordApplicant({ stamp: story.stamp(), applicant: each });

test('who waits is kept from the first time it asked, with what it says now', async () => {
  await record(applicant(5));
  const sinceMs = story.nowMs;
  const { login: _login, ...tagged } = applicant(5, { name: 'other', tags: ['tag:x'], why: 'tagged' });
  await record(tagged);
  expect(temp.store.read.applicants()).toEqual([{ ...tagged, sinceMs }]);
  const reopened = await temp.reopen();
  expect(reopened.read.applicants()).toHaveLength(1);
});

test('who was let in waits no longer; an issuer is remembered as one', async () => {
  await record(applicant(5));
  await temp.store.write.admitMember({ stamp: story.stamp(), member: member(5) });
  expect(temp.store.read.applicants()).toEqual([]);
  expect(temp.store.read.members().map(({ nodeId }) => nodeId)).toEqual([nodeIdFor(5)]);
  expect(temp.store.read.issuers()).toEqual([]);
  await temp.store.write.admitMember({ stamp: story.stamp(), member: member(6), issuerDer: utf8('issuer 6') });
  await temp.store.write.admitMember({ stamp: story.stamp(), member: member(6), issuerDer: utf8('issuer 6 again') });
  expect(temp.store.read.issuers()).toEqual([nodeIdFor(6)]);
});

test('those who wait are bounded, in number and in time', async () => {
  for (let number = 10; number < 230; number += 1) await record(applicant(number));
  expect(temp.store.read.applicants()).toHaveLength(200);
  expect(temp.store.read.applicants()[0]?.nodeId).toBe(nodeIdFor(30));
  story.nowMs += 8 * dayMs;
  await record(applicant(500));
  expect(temp.store.read.applicants().map(({ nodeId }) => nodeId)).toEqual([nodeIdFor(500)]);
});

test('who asks under one key after another leaves no more behind than those who wait', async () => {
  for (let number = 10; number < 230; number += 1) await record(applicant(number));
  const db = openReading(temp.path);
  try {
    expect(db.prepare('SELECT id FROM nodes').pluck().all()).toEqual([temp.nodeId]);
  } finally {
    db.close();
  }
});

test('rules add up, each once; a thousand are enough', async () => {
  const { store } = temp;
  const add = (...values: string[]) => store.write.addAdmitRules({ stamp: story.stamp(), rules: values.map((value) => ({ kind: 'tag', value }) as const) });
  expect(await add('tag:a', 'tag:b')).toHaveLength(2);
  expect(await add('tag:b', 'tag:c')).toEqual([{ kind: 'tag', value: 'tag:c' }]);
  expect(store.read.admitRules().map(({ value }) => value)).toEqual(['tag:a', 'tag:b', 'tag:c']);
  await expect(add(...Array.from({ length: 1000 }, (_, index) => `tag:x${index}`))).rejects.toMatchObject({ code: 'overload' });
  expect(store.read.admitRules()).toHaveLength(3);
});
