import { expect, test } from 'vitest';
import type { LogFields } from '../../../src/domain/log-fields.ts';
import { News } from '../../../src/mesh/news.ts';
import type { Session } from '../../../src/mesh/session.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { nodeIdFor, silentLog } from '../../support/temp-store.ts';

test('who connects again and again without a hello is told of once, until it has a session', () => {
  const lines: string[] = [];
  const news = new News(new FakeClock(), { ...silentLog, info: (_fields: LogFields, message: string) => void lines.push(message) });
  const session = (path: Session['path'], hello?: object) => ({ peer: { nodeId: nodeIdFor(1), name: 'evil' }, address: '10.0.0.1:1', path, hello }) as unknown as Session;
  const end = { why: 'it closed the connection', wasUp: false };
  for (let times = 0; times < 100; times += 1) news.ended(session('inbound'), end);
  expect(lines).toEqual(['evil connected, and no session came of it']);
  // One that dials is told of otherwise, one that said hello and was refused was told why.
  news.ended(session('outbound'), end);
  news.ended(session('inbound', {}), end);
  news.ended(session('inbound'), { ...end, farewell: 'stopping' });
  expect(lines).toHaveLength(1);
  news.began(session('inbound', {}));
  news.ended(session('inbound'), end);
  expect(lines).toHaveLength(2);
});

test('a peer that takes this node and refuses it as a copy, again and again, is told of once an hour', async () => {
  const lines: string[] = [];
  const clock = new FakeClock();
  const news = new News(clock, { ...silentLog, error: (_fields: LogFields, message: string) => void lines.push(message) });
  const session = { peer: { nodeId: nodeIdFor(1), name: 'evil' }, address: '10.0.0.1:1', path: 'outbound', hello: {} } as unknown as Session;
  const refuse = (): void => {
    news.began(session);
    news.ended(session, { farewell: 'clone', saidBy: 'peer', why: 'a copy', wasUp: true });
  };
  for (let times = 0; times < 100; times += 1) refuse();
  expect(lines).toEqual(['evil refuses this node: a copy']);
  await clock.advance(3_600_000);
  refuse();
  expect(lines).toHaveLength(2);
});
