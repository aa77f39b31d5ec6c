import { beforeEach, expect, test } from 'vitest';
import { mostLinesOfPeers, mostPeerLines, PeerLines } from '../../../src/app/peer-lines.ts';
import type { LogFields } from '../../../src/domain/log-fields.ts';
import { FakeClock } from '../../support/fake-clock.ts';

let clock: FakeClock;
let lines: { readonly fields: LogFields; readonly message: string }[];
let over: string[];
let log: PeerLines;
beforeEach(() => {
  clock = new FakeClock();
  lines = [];
  over = [];
  const add = (fields: LogFields, message: string): void => void lines.push({ fields, message });
  log = new PeerLines({ clock, log: { debug: add, info: add, warn: add, error: add }, onOverLimit: (limit) => void over.push(limit) });
});

const evil = { peer: 'evil', peerId: 'k51evil' } as const;

test('a node that has a thousand lines written in a minute gets so many, and one that says how many more', async () => {
  for (let each = 0; each < 1_000; each += 1) log.warn({ ...evil, code: 'invalid' }, 'a message of a peer was not taken');
  log.info({ peer: 'desktop', peerId: 'k51desktop' }, 'peer desktop is alive');
  log.error({ agent: '@echo@laptop#main' }, 'the queue of an agent could not be read');
  expect(lines).toHaveLength(mostPeerLines + 2);
  await clock.advance(60_000);
  expect(lines.slice(mostPeerLines + 2)).toEqual([{ fields: { ...evil, count: 880 }, message: 'more lines about it were left out in the last minute' }]);
  expect(over).toEqual(Array.from({ length: 880 }, () => 'log_lines'));
  log.warn(evil, 'a message of a peer was not taken');
  expect(lines.at(-1)?.fields).toEqual(evil);
});

test('a thousand addresses together get so many, and nothing is kept of each', async () => {
  for (let each = 0; each < 5_000; each += 1) log.info({ address: `192.0.2.${each}:7423` }, 'not reached');
  expect(lines).toHaveLength(mostLinesOfPeers);
  await clock.advance(60_000);
  expect(lines.slice(mostLinesOfPeers)).toEqual([{ fields: { count: 5_000 - mostLinesOfPeers }, message: 'more lines about other nodes were left out in the last minute' }]);
});

test('what is left out is said when the node stops, and nothing when nothing was', () => {
  for (let each = 0; each < mostPeerLines; each += 1) log.info({ address: '192.0.2.1:1' }, 'not reached');
  log.stop();
  expect(lines).toHaveLength(mostPeerLines);
  for (let each = 0; each < mostPeerLines + 3; each += 1) log.info({ address: `192.0.2.1:${each}` }, 'not reached');
  log.stop();
  expect(lines.at(-1)?.fields).toEqual({ address: '192.0.2.1:120', count: 3 });
});

test('ports of one address are one, and what somebody asked for is not counted', () => {
  for (let each = 0; each < 500; each += 1) log.debug({ address: `192.0.2.1:${each}` }, 'not reached');
  expect(lines).toHaveLength(500);
  expect(over).toEqual([]);
});
