import { expect, test } from 'vitest';
import { BrokerError } from '../../../../src/domain/errors.ts';
import type { TailnetMachine } from '../../../../src/domain/tailnet.ts';
import { HttpSource } from '../../../../src/discovery/tailscale/http-source.ts';
import { FakeClock } from '../../../support/fake-clock.ts';
import { silentLog } from '../../../support/temp-store.ts';

const machine: TailnetMachine = { id: 'n1', hostName: 'desktop', dnsName: 'desktop.tn.test', os: 'linux', user: 'ann', tags: [], addresses: ['100.64.0.2'], isOnline: true, isExpired: false, isShared: false, isExit: false };

function scene(answers: (() => readonly TailnetMachine[])[]) {
  const clock = new FakeClock();
  const askedAt: number[] = [];
  const devices = (): Promise<readonly TailnetMachine[]> => {
    askedAt.push(clock.monotonic());
    return Promise.resolve().then(() => (answers.shift() ?? (() => [machine]))());
  };
  const source = new HttpSource({ api: { devices }, port: 7423, clock, random: () => 0, log: silentLog });
  return { clock, askedAt, source };
}

test('machines are asked for every minute or two, and what was found stays when an answer fails', async () => {
  const { clock, askedAt, source } = scene([
    () => [machine, { ...machine, id: 'n2', isShared: true }],
    () => {
      throw new BrokerError('unavailable', 'it is down');
    },
    () => [],
  ]);
  await source.start();
  await clock.advance(10);
  expect(source.candidates()).toEqual([{ addresses: ['100.64.0.2:7423'], isOnline: true }]);
  await clock.advance(60_000);
  expect(source.candidates()).toHaveLength(1);
  await clock.advance(60_000);
  expect(source.candidates()).toEqual([]);
  expect(askedAt).toEqual([0, 60_000, 120_000]);
  await source.stop();
  expect(clock.pending).toBe(0);
});

test('a server that wants to be left alone is left alone for that long', async () => {
  const { clock, askedAt, source } = scene([
    () => {
      throw new BrokerError('unavailable', 'slow down', { detail: { retryAfterMs: '600000' } });
    },
  ]);
  await source.start();
  await clock.advance(1_300_000);
  expect(askedAt.slice(0, 2)).toEqual([0, 600_000]);
  await source.stop();
});
