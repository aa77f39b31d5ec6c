// `npm run gen` writes src/gen from proto; with `--check` it writes nothing and fails when src/gen is not current.
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { root, run } from './run.ts';

const generated = join(root, 'src', 'gen');

function contents(folder: string): Map<string, string> {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return new Map(
    files.map((file) => {
      const path = join(file.parentPath, file.name);
      return [path.slice(folder.length + 1), readFileSync(path, 'utf8')];
    }),
  );
}

function check(): number {
  const fresh = mkdtempSync(join(tmpdir(), 'beckon-gen-'));
  try {
    const code = run('buf', 'generate', '--template', 'scripts/buf.gen.yaml', '--output', fresh);
    if (code !== 0) return code;
    const want = contents(join(fresh, 'src', 'gen'));
    const have = contents(generated);
    const stale = [...new Set([...want.keys(), ...have.keys()])].filter((name) => want.get(name) !== have.get(name));
    for (const name of stale.sort()) console.error(`src/gen/${name} is not what proto generates: run 'npm run gen'`);
    return stale.length === 0 ? 0 : 1;
  } finally {
    rmSync(fresh, { recursive: true, force: true });
  }
}

process.exitCode = process.argv.includes('--check')
  ? check()
  : run('buf', 'generate', '--template', 'scripts/buf.gen.yaml');
