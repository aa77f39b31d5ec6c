/** What this process takes of its machine. */
import { readdir, readFile } from 'node:fs/promises';
import type { ProcessVitals } from '../domain/vitals.ts';

export async function processVitals(): Promise<ProcessVitals> {
  const cpu = process.cpuUsage();
  const memory = process.memoryUsage();
  const { active, idle } = performance.eventLoopUtilization();
  return {
    runtime: process.version,
    startedAtMs: performance.timeOrigin,
    cpuSeconds: (cpu.user + cpu.system) / 1e6,
    residentBytes: memory.rss,
    heapUsedBytes: memory.heapUsed,
    heapTotalBytes: memory.heapTotal,
    loopActiveSeconds: active / 1000,
    loopIdleSeconds: idle / 1000,
    ...(process.platform === 'linux' ? await filesOfLinux() : {}),
  };
}

async function filesOfLinux(): Promise<Pick<ProcessVitals, 'openFiles' | 'mostFiles'>> {
  const [open, limits] = await Promise.allSettled([readdir('/proc/self/fd'), readFile('/proc/self/limits', 'utf8')]);
  const most = limits.status === 'fulfilled' ? /^Max open files +(\d+)/m.exec(limits.value)?.[1] : undefined;
  return {
    // But for the one that it was read by.
    ...(open.status === 'fulfilled' ? { openFiles: open.value.length - 1 } : {}),
    ...(most === undefined ? {} : { mostFiles: Number(most) }),
  };
}
