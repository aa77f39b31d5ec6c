// `npm run build`: dist/ as it is published, from an empty folder each time.
import { chmodSync, existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { root, run } from './run.ts';

rmSync(join(root, 'dist'), { recursive: true, force: true });
process.exitCode = run('tsc', '-p', 'tsconfig.build.json');

const program = join(root, 'dist', 'main.js');
if (existsSync(program)) chmodSync(program, 0o755);
