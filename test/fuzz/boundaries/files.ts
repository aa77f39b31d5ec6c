/** The small files of a node beside its store, and those of projects: damaged, put there by others, of another version. */
import { createHash, generateKeyPairSync } from 'node:crypto';
import { mkdirSync, readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { readCloneMark } from '../../../src/app/clone-mark.ts';
import { readRemembered } from '../../../src/app/remembered.ts';
import { readStoreMark } from '../../../src/app/store-mark.ts';
import { readLogFiles } from '../../../src/cli/log-files.ts';
import { parseManifest, readManifest } from '../../../src/discovery/manifest.ts';
import { manifestName } from '../../../src/domain/project.ts';
import { makeRoot } from '../../../src/trust/issue.ts';
import { readKeyFile } from '../../../src/trust/key-file.ts';
import { readRecoveryFile, writeRecoveryFile } from '../../../src/trust/recovery-file.ts';
import { holds } from '../engine/boundary.ts';
import type { Boundary } from '../engine/boundary.ts';
import { jsonMutation } from '../engine/mutate-json.ts';
import { scratch } from './places.ts';
import { readersOf } from './readers.ts';
import type { Readers } from './readers.ts';

const names = ['recovery', 'key', 'epoch', 'clone', 'remembered', 'manifest', 'log'] as const;
const passphrase = 'correct horse battery';
const json = jsonMutation(['claude', '@fabric', 'mesh', './bin/agent', '../up', 'ask']);
/** To guess a passphrase costs half a second: files of these tests ask for less than any node would write, and 262,144 is the most. */
const cheapest = { n: 2 ** 14, r: 8, p: 1 } as const;

function readersIn(directory: string): Readers {
  const at = (name: string): string => join(directory, name);
  const put = async (name: string, bytes: Uint8Array): Promise<string> => {
    await writeFile(at(name), bytes, { mode: 0o600 });
    return at(name);
  };
  return readersOf({
    recovery: async (_text, bytes) => {
      const { root, members, revocations } = await readRecoveryFile(await put('recovery', withoutCost(bytes)), passphrase);
      holds(root.length > 0 && members.length <= 10_000 && revocations.length <= 10_000, 'a recovery file holds a root, and no more members than a mesh has');
    },
    key: async (_text, bytes) => holds((await readKeyFile(await put('key', bytes)))?.asymmetricKeyType === 'ed25519', 'a key file holds an Ed25519 key'),
    epoch: async (_text, bytes) => {
      const mark = await readStoreMark(await put('epoch', bytes));
      holds(mark !== undefined && Number.isSafeInteger(mark.epoch) && Number.isSafeInteger(mark.fact), 'an epoch is a number');
    },
    clone: async (_text, bytes) => holds(((await readCloneMark(await put('clone', bytes)))?.refusals.length ?? 0) > 0, 'who is refused is refused by somebody'),
    remembered: async (_text, bytes) => void (await readRemembered(await put('up.json', bytes))),
    manifest: async (text, bytes) => {
      await put(manifestName, bytes);
      const words = await readManifest(directory);
      if (words === undefined) return void parseManifest(text, '/project');
      const { command, name } = words;
      holds(name === undefined || /^[a-z0-9][a-z0-9._-]*$/.test(name), 'a project has a name as the grammar has it');
      holds(command === undefined || (command[0] !== '' && command.every((each) => !each.includes('\0'))), 'a command can be started');
    },
    log: async (_text, bytes) => {
      await put('node.log', bytes);
      let count = 0;
      for await (const line of readLogFiles(at('node.log'), { follow: false, signal: new AbortController().signal, pause: () => Promise.resolve() })) count += line === undefined ? 0 : 1;
      holds(count <= bytes.length, 'a log has no more lines than bytes');
    },
  });
}

/** The costliest guess that is allowed takes 256 MiB and most of a second: allowed, and not what is looked for here. */
function withoutCost(bytes: Uint8Array): Uint8Array {
  return Buffer.from(Buffer.from(bytes).toString('latin1').replace(/("n":\s*)(\d{5,})/, (whole, key: string, n: string) => (Number(n) <= 2 ** 18 ? `${key}16384` : whole)), 'latin1');
}

export const files: Boundary = {
  name: 'files',
  what: 'recovery file, keys, epoch, clone mark, remembered flags, manifests of projects, logs',
  seeds: async () => {
    const { path, close } = scratch();
    const { privateKey } = generateKeyPairSync('ed25519');
    const root = await makeRoot(privateKey, 1_780_000_000_000);
    await writeRecoveryFile(join(path, 'r'), { meshName: 'home', owner: 'ada', rootKey: privateKey, root, members: [{ chain: { leaf: root, issuer: root }, addresses: ['100.64.0.1:7423'], issuerDer: root }], revocations: [{ payload: root, signature: root }] }, passphrase, 1_780_000_000_000, cheapest);
    const recovery = readFileSync(join(path, 'r'));
    close();
    const input = (name: (typeof names)[number], content: string | Uint8Array): Uint8Array => Buffer.concat([Buffer.from([names.indexOf(name)]), Buffer.from(content)]);
    return {
      'a recovery file': input('recovery', recovery),
      'a key': input('key', privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()),
      'an epoch': input('epoch', '12 3456\n'),
      'a clone mark': input('clone', JSON.stringify({ nodeId: 'k51', refusals: [{ by: 'k51', name: 'desktop', why: 'a copy', atMs: 1 }] })),
      'remembered flags': input('remembered', JSON.stringify({ name: 'laptop', listen: ['127.0.0.1:7423'], seeds: [], tailscale: 'off' })),
      'a manifest': input('manifest', JSON.stringify({ name: 'fabric', description: 'builds', harness: 'command', command: ['./bin/agent', '{task}'], permissions: 'edit', isolate: true, capabilities: ['code'], labels: { team: 'a' }, env: ['A=b'], visibility: 'mesh', defaultWorkspace: 'main' })),
      'a log': input('log', '{"level":"info","at":"2026-03-01T14:05:09.000Z","msg":"up"}\n\n{"level":'),
    };
  },
  mutate: (input, dice, other) => {
    const kind = (input[0] ?? 0) % names.length;
    if ([1, 2, 6].includes(kind)) return Buffer.concat([input.subarray(0, 1), other.subarray(0, dice.between(0, other.length)), input.subarray(1)]);
    const changed = json(input.subarray(1), dice, other.subarray(1));
    return Buffer.concat([input.subarray(0, 1), kind === 0 && dice.chance(0.7) ? summed(changed) : changed]);
  },
  longest: 64 * 1024,
  open: () => {
    const { path, close } = scratch();
    mkdirSync(dirname(join(path, manifestName)));
    const readers = readersIn(path);
    return { run: (input) => readers.run(input), close };
  },
};

/** With its checksum made anew, so that what lies behind it is reached. */
function summed(bytes: Uint8Array): Uint8Array {
  try {
    const { sha256: _old, ...rest } = JSON.parse(Buffer.from(bytes).toString()) as Record<string, unknown>;
    return Buffer.from(JSON.stringify({ ...rest, sha256: createHash('sha256').update(JSON.stringify(rest)).digest('hex') }));
  } catch {
    return bytes;
  }
}
