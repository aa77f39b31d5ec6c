// `npm run build`: dist/ as it is published, from an empty folder each time. The SDK as it is, for its types and for
// bundlers of others; the program in few files with the libraries inside, since hundreds take longer to open than to run.
import { chmodSync, existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { rolldown } from 'rolldown';
import { root, run } from './run.ts';

const dist = join(root, 'dist');

/** Each is started by its path, from wherever what starts it came to be: so all lie side by side. */
const entries = ['main', 'store/writer-worker', 'store/inspection-worker', 'store/backup-worker'];

async function bundle(): Promise<void> {
  const input = Object.fromEntries(entries.map((entry) => [entry.slice(entry.lastIndexOf('/') + 1), join(root, 'src', `${entry}.ts`)]));
  // Finds its binary beside itself.
  await using program = await rolldown({ input, platform: 'node', external: ['better-sqlite3'], logLevel: 'warn' });
  await program.write({ dir: dist, format: 'esm', chunkFileNames: '[name]-[hash].js' });
}

rmSync(dist, { recursive: true, force: true });
process.exitCode = run('tsc', '-p', 'tsconfig.build.json');
await bundle();
const main = join(dist, 'main.js');
if (existsSync(main)) chmodSync(main, 0o755);
