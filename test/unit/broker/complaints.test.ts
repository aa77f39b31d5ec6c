import { expect, test } from 'vitest';
import { Complaints } from '../../../src/broker/complaints.ts';
import type { LogFields } from '../../../src/domain/log-fields.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { nodeIdFor, silentLog } from '../../support/temp-store.ts';

function complaints() {
  const clock = new FakeClock();
  const lines: { readonly level: string; readonly fields: LogFields; readonly message: string }[] = [];
  const at = (level: string) => (fields: LogFields, message: string) => void lines.push({ level, fields, message });
  return { clock, lines, told: new Complaints(clock, { ...silentLog, info: at('info'), warn: at('warn') }) };
}

const peer = (number: number) => ({ name: `node-${number}`, nodeId: nodeIdFor(number) });

test('a fault that is repeated a thousand times is one line a minute, and the next says how many were left out', async () => {
  const { clock, lines, told } = complaints();
  for (let each = 0; each < 1000; each += 1) told.tell({ peer: peer(1), kind: 'forward denied', fields: { code: 'denied' }, message: 'refused' });
  expect(lines).toEqual([{ level: 'warn', fields: { peer: 'node-1', peerId: nodeIdFor(1), code: 'denied' }, message: 'refused' }]);
  await clock.advance(60_000);
  told.tell({ peer: peer(1), kind: 'forward denied', message: 'refused' });
  expect(lines[1]?.fields).toMatchObject({ count: 999 });
  await clock.advance(60_000);
  told.tell({ peer: peer(1), kind: 'forward denied', message: 'refused' });
  expect(lines[2]?.fields).not.toHaveProperty('count');
});

test('one peer, or one fault, hides no other', () => {
  const { lines, told } = complaints();
  for (const number of [1, 2]) for (const kind of ['receipt', 'cancel']) for (let times = 0; times < 3; times += 1) told.tell({ peer: peer(number), kind, message: `${kind} of ${number}`, level: 'info' });
  expect(lines.map(({ level, message }) => `${level} ${message}`)).toEqual(['info receipt of 1', 'info cancel of 1', 'info receipt of 2', 'info cancel of 2']);
});
