import { fromBinary, toBinary } from '@bufbuild/protobuf';
import { FileDescriptorProtoSchema, FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { spawnSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { environment, root } from '../../../scripts/run.ts';
import { descriptors } from '../../../src/gen/descriptors.ts';

test('server reflection tells of proto as it is: if not, npm run gen', () => {
  const folder = mkdtempSync(join(tmpdir(), 'beckon-descriptors-'));
  try {
    const set = join(folder, 'set.binpb');
    const { status, stderr } = spawnSync('buf', ['build', '--as-file-descriptor-set', '--exclude-source-info', '--output', set], { cwd: root, env: environment, encoding: 'utf8' });
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    const files = fromBinary(FileDescriptorSetSchema, readFileSync(set)).file;
    expect(descriptors).toEqual(Object.fromEntries(files.map((file) => [file.name, Buffer.from(toBinary(FileDescriptorProtoSchema, file)).toString('base64')])));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
