/** Floors: the Node that runs the nodes of a bench, with the libraries that a node in a mesh loads, and nothing of Beckon. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { root } from '../../scripts/run.ts';

/** What `src` imports of others but with the first agent of the Agent Client Protocol, the first certificate that is issued, and the first diff. */
export const libraries = [
  '@bufbuild/protobuf/wire', '@chainsafe/libp2p-noise', '@chainsafe/libp2p-yamux', '@grpc/grpc-js', '@libp2p/crypto/keys', '@libp2p/gossipsub', '@libp2p/peer-id', '@libp2p/tcp',
  '@multiformats/multiaddr', 'better-sqlite3', 'commander', 'fastest-levenshtein', 'libp2p', 'multiformats/bases/base32', 'picocolors', 'pino', 'smol-toml', 'zod',
] as const;

/** As `scripts/beckon` finds it. */
const pinned = join(root, 'node_modules', 'node', 'bin', 'node');
export const nodeProgram = existsSync(pinned) ? pinned : process.execPath;

export interface Bare {
  readonly child: ChildProcess;
  readonly pid: number;
  /** From its spawn until everything was imported and it said so, ms. */
  readonly ms: number;
}

/** Imports them, says so, and then waits to be killed. @throws when it ends instead */
export async function bareNode(imports: readonly string[]): Promise<Bare> {
  const program = `${imports.map((name) => `import ${JSON.stringify(name)};`).join('')}process.stdout.write('ready');setInterval(() => undefined, 2 ** 30);`;
  const startMs = performance.now();
  const child = spawn(nodeProgram, ['--input-type=module', '-e', program], { cwd: root, stdio: ['ignore', 'pipe', 'inherit'] });
  await new Promise<void>((resolve, reject) => {
    child.stdout.once('data', () => resolve());
    child.once('error', reject);
    child.once('exit', (code, signal) => reject(new Error(`bare Node ended with ${code ?? signal}`)));
  });
  const ms = performance.now() - startMs;
  if (child.pid === undefined) throw new Error('bare Node has no process');
  return { child, pid: child.pid, ms };
}
