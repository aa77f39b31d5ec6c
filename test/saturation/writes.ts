/** The thread beside a node's main one that writes down what that one says of itself: its disk may be what is slow. */
import { appendFileSync, writeFileSync } from 'node:fs';
import { Session } from 'node:inspector/promises';
import { basename, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parentPort, workerData } from 'node:worker_threads';

const { reportFile, profileDirectory } = workerData as { readonly reportFile: string; readonly profileDirectory: string };
const profileMs = 30_000;

parentPort?.on('message', (line: string) => appendFileSync(reportFile, `${line}\n`));

/** Of the main thread, from here: it does nothing for it but be looked at. */
async function profile(): Promise<void> {
  const session = new Session();
  session.connectToMainThread();
  await session.post('Profiler.enable');
  await session.post('Profiler.setSamplingInterval', { interval: 1_000 });
  for (let part = 0; ; part += 1) {
    await session.post('Profiler.start');
    await delay(profileMs);
    const { profile: taken } = await session.post('Profiler.stop');
    writeFileSync(join(profileDirectory, `${basename(reportFile, '.report')}-${part}.cpuprofile`), JSON.stringify(taken));
  }
}

if (profileDirectory !== '') void profile();
