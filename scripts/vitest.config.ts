import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

const root = fileURLToPath(new URL('..', import.meta.url));

/** A project a kind of test: STYLE of the folders under `test/`. Limits are bounds on a hang, not targets. */
const project = (name: string, testTimeoutMs: number, serial = false) => ({
  root,
  test: {
    name,
    root,
    environment: 'node' as const,
    pool: 'forks' as const,
    include: [`test/${name}/**/*.test.ts`],
    testTimeout: testTimeoutMs,
    hookTimeout: testTimeoutMs,
    fileParallelism: !serial,
  },
});

export default defineConfig({
  root,
  test: {
    root,
    maxWorkers: 2,
    passWithNoTests: false,
    projects: [
      project('unit', 10_000),
      project('contract', 15_000),
      project('integration', 30_000),
      project('system', 90_000),
      project('chaos', 90_000, true),
    ],
  },
});
