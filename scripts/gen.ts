// `npm run gen` writes src/gen from proto; with `--check` it writes nothing and fails when src/gen is not current.
import { fromBinary, toBinary } from '@bufbuild/protobuf';
import { FileDescriptorSetSchema, FileDescriptorProtoSchema } from '@bufbuild/protobuf/wkt';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { root, run } from './run.ts';

const generated = join(root, 'src', 'gen');

/** Writes the code, and beside it what server reflection tells: every file as a descriptor. Resolves to an exit code. */
function generate(folder: string): number {
  const scratch = mkdtempSync(join(tmpdir(), 'beckon-descriptors-'));
  try {
    const set = join(scratch, 'set.binpb');
    const code = run('buf', 'generate', '--template', 'scripts/buf.gen.yaml', '--output', folder) || run('buf', 'build', '--as-file-descriptor-set', '--exclude-source-info', '--output', set);
    if (code !== 0) return code;
    const { file } = fromBinary(FileDescriptorSetSchema, readFileSync(set));
    const lines = file.toSorted((a, b) => (a.name < b.name ? -1 : 1)).map((each) => `  '${each.name}': '${Buffer.from(toBinary(FileDescriptorProtoSchema, each)).toString('base64')}',`);
    const text = `// Made by scripts/gen.ts from proto. Each file as a google.protobuf.FileDescriptorProto, base64.\nexport const descriptors: Readonly<Record<string, string>> = {\n${lines.join('\n')}\n};\n`;
    writeFileSync(join(folder, 'src', 'gen', 'descriptors.ts'), text);
    return 0;
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

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
    const code = generate(fresh);
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

process.exitCode = process.argv.includes('--check') ? check() : generate(root);
