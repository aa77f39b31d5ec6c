// `npm run build`: dist/ as it is published, from an empty folder each time. The SDK as it is, for its types and for
// bundlers of others; the program in few files with the libraries inside, since hundreds take longer to open than to run.
import { chmodSync, existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { rolldown } from 'rolldown';
import { root, run } from './run.ts';

const dist = join(root, 'dist');

/** Each is started by its path, from wherever what starts it came to be: so all lie side by side. */
const entries = ['main', 'store/writer-worker', 'store/inspection-worker', 'store/backup-worker'];

/** Node keeps a source as long as it runs, and all of it in two bytes a character when one does not fit into one. */
function inAscii(source: string, name: string): string {
  if (/\\[\u0080-\uffff]|String\.raw`[^`]*[\u0080-\uffff]/.test(source)) throw new Error(`${name} has a character that can't be written as \\u`);
  return source.replaceAll(/[\u0080-\uffff]/g, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

async function bundle(): Promise<void> {
  const input = Object.fromEntries(entries.map((entry) => [entry.slice(entry.lastIndexOf('/') + 1), join(root, 'src', `${entry}.ts`)]));
  // Finds its binary beside itself.
  await using program = await rolldown({ input, platform: 'node', external: ['better-sqlite3'], logLevel: 'warn' });
  const { output } = await program.write({ dir: dist, format: 'esm', chunkFileNames: '[name]-[hash].js', minify: { compress: false, mangle: false, codegen: { removeWhitespace: true } } });
  for (const part of output) if (part.type === 'chunk') writeFileSync(join(dist, part.fileName), inAscii(part.code, part.fileName));
}

rmSync(dist, { recursive: true, force: true });
process.exitCode = run('tsc', '-p', 'tsconfig.build.json');
await bundle();
const main = join(dist, 'main.js');
if (existsSync(main)) chmodSync(main, 0o755);
