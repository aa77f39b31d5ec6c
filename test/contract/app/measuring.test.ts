/** When a node listens for who wants its metrics. */
import { createServer } from 'node:http';
import { afterEach, expect, onTestFinished, test } from 'vitest';
import type { SettingKey } from '../../../src/app/config.ts';
import { Measuring } from '../../../src/app/measuring.ts';
import type { MeasuringParts } from '../../../src/app/measuring.ts';
import { freePort } from '../../support/cluster.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { silentLog } from '../../support/temp-store.ts';
import { waitFor } from '../../support/wait-for.ts';

class Settings {
  now: { metricsListen?: string } = {};
  #tell: (changed: ReadonlySet<SettingKey>) => void = () => undefined;

  onChange(listener: (changed: ReadonlySet<SettingKey>) => void): void {
    this.#tell = listener;
  }

  set(metricsListen: string | undefined, key: SettingKey = 'metrics_listen'): void {
    this.now = metricsListen === undefined ? {} : { metricsListen };
    this.#tell(new Set([key]));
  }
}

const clock = new FakeClock();
let measuring: Measuring | undefined;
afterEach(() => measuring?.stop());

/** Of a node that can tell nothing: what is asked here is only whether somebody answers. */
function measuringBy(config: Settings): Measuring {
  measuring = new Measuring({ config, clock, log: silentLog, broker: { status: () => Promise.reject(new Error('not here')) } } as unknown as MeasuringParts);
  return measuring;
}
const answers = (port: number): Promise<boolean> => fetch(`http://127.0.0.1:${port}/metrics`).then(() => true, () => false);
const at = (port: number): string => `127.0.0.1:${port}`;

test('it listens nowhere unless it is told to, and then there, elsewhere, or no more, as it is told', async () => {
  const [first, second] = [await freePort(), await freePort()];
  const config = new Settings();
  await measuringBy(config).start();
  expect(await answers(first)).toBe(false);
  config.set(at(first), 'log_level');
  expect(await answers(first)).toBe(false);
  config.set(at(first));
  await waitFor('the first place', () => answers(first));
  config.set(at(second));
  await waitFor('the second place', () => answers(second));
  expect(await answers(first)).toBe(false);
  config.set(undefined);
  await waitFor('none', async () => !(await answers(second)));
});

test('a place that another has is tried again, and keeps nobody', async () => {
  const other = createServer();
  await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void other.close());
  const { port } = other.address() as { port: number };
  const config = new Settings();
  config.now = { metricsListen: at(port) };
  await measuringBy(config).start();
  await new Promise((resolve) => other.close(resolve));
  expect(await answers(port)).toBe(false);
  await clock.advance(30_000);
  await waitFor('it to be had', () => answers(port));
});

test('a node that stops listens no more', async () => {
  const port = await freePort();
  const config = new Settings();
  config.now = { metricsListen: at(port) };
  await measuringBy(config).start();
  expect(await answers(port)).toBe(true);
  await measuring?.stop();
  expect(await answers(port)).toBe(false);
});
