import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';
import LongestFirst from './longest-first.ts';

const root = fileURLToPath(new URL('..', import.meta.url));

// For the workers, and for each thread of a store in them: some thousand would strip and compile the same sources again.
process.env['NODE_COMPILE_CACHE'] ??= join(root, 'node_modules', '.cache', 'compiled');

/** What a newcomer need not wait for: `npm run test:slow`, and CI, run these. */
const slow = 'test/**/*.slow.test.ts';

/** A project a kind of test: STYLE of the folders under `test/`. Limits are bounds on a hang, not targets. */
const project = (name: string, testTimeoutMs: number, { isolate = true, include = [`test/${name}/**/*.test.ts`], exclude = [slow] } = {}) => ({
  root,
  test: {
    name,
    root,
    environment: 'node' as const,
    pool: 'forks' as const,
    setupFiles: ['test/support/keep-wasm.ts'],
    // No code is thrown away for better code: see there.
    execArgv: ['--no-wasm-dynamic-tiering', '--disable-warning=ExperimentalWarning'],
    include,
    exclude,
    testTimeout: testTimeoutMs,
    hookTimeout: testTimeoutMs,
    isolate,
  },
});

export default defineConfig({
  root,
  test: {
    root,
    maxWorkers: 2,
    sequence: { sequencer: LongestFirst },
    passWithNoTests: false,
    projects: [
      // Parts without processes, and quick: a process for each file would take longer than they do.
      project('unit', 30_000, { isolate: false, include: ['test/unit/**/*.test.ts', 'test/fuzz/**/*.test.ts'] }),
      project('contract', 60_000, { isolate: false }),
      project('integration', 60_000),
      project('system', 90_000),
      project('agents', 120_000),
      project('attack', 60_000),
      project('slow', 180_000, { include: [slow, 'test/chaos/**/*.test.ts'], exclude: [] }),
    ],
  },
});
