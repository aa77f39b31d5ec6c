import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { parseManifest, readManifest } from '../../../src/discovery/manifest.ts';
import { neutralise } from '../../../src/domain/text.ts';

const whole = {
  name: 'Shop',
  description: 'sells things, and buys some: “été” 🚲',
  command: ['./bin/agent', '--task', '{task}', ''],
  permissions: 'edit',
  isolate: true,
  capabilities: ['review', 'Deploy'],
  labels: { team: 'web', 'a/b.c': '' },
  env: ['CI=1', 'TOKEN', 'EMPTY='],
  visibility: 'node',
  defaultWorkspace: 'develop',
};

test('all that a manifest may say is taken, names folded; nothing need be said', () => {
  expect(parseManifest(JSON.stringify(whole), 'x')).toEqual({ ...whole, name: 'shop', capabilities: ['review', 'deploy'] });
  expect(parseManifest('{}', 'x')).toEqual({});
  expect(parseManifest('{"harness": "claude"}', 'x')).toEqual({ harness: 'claude' });
});

describe('what is wrong is named, with the file and the field', () => {
  test.each<[string, string, string]>([
    ['not JSON', '{"name": }', 'x: not JSON: '],
    ['control characters in what is not JSON', '{"\u001b[31m', 'x: not JSON: '],
    ['nothing', '', 'x: not JSON: '],
    ['a list', '[]', 'x: Invalid input: expected object'],
    ['null', 'null', 'x: Invalid input: expected object'],
    ['a key that is not known', '{"commnd": ["x"]}', 'x: unknown key "commnd"; known are: name, description, harness, command,'],
    ['a key of another world', '{"__proto__": {"command": ["x"]}}', 'x: unknown key "__proto__"'],
    ['a key that drives a terminal', '{"\\u001b[2J": 1}', 'x: unknown key "\\u001b[2J"'],
    ['a name of the wrong kind', '{"name": 7}', 'x: name: Invalid input: expected string, received number'],
    ['a name with a path in it', '{"name": "../shop"}', 'x: name: "../shop" is not a name: a name starts with a letter or digit'],
    ['a name with a slash', '{"name": "a/b"}', 'x: name: "a/b" is not a name: a name can\'t contain "/"'],
    ['a name with a control character', '{"name": "a\\u0007"}', 'x: name: "a\\u0007" is not a name'],
    ['a name like a node id', '{"name": "k51abc"}', 'x: name: "k51abc" is not a name'],
    ['a name that is too long', JSON.stringify({ name: 'a'.repeat(41) }), 'a name has at most 40 characters'],
    ['a description that drives a terminal', '{"description": "a\\u001b]0;x\\u0007"}', 'x: description: has a control character'],
    ['a description that reads backwards', '{"description": "a\\u202eb"}', 'x: description: has a control character'],
    ['a description of two lines', '{"description": "a\\nb"}', 'x: description: has a control character'],
    ['a description that is too long', JSON.stringify({ description: 'a'.repeat(1001) }), 'x: description: has more than 1000 characters'],
    ['a command as one text', '{"command": "rm -rf /"}', 'x: command: Invalid input: expected array'],
    ['a command without a program', '{"command": []}', 'x: command: names no program'],
    ['a command with an empty program', '{"command": ["", "x"]}', 'x: command: names no program'],
    ['a command with a number', '{"command": ["x", 1]}', 'x: command[1]: Invalid input: expected string'],
    ['a command with a NUL byte', '{"command": ["x", "a\\u0000b"]}', 'x: command[1]: has a NUL byte'],
    ['a program above the project', '{"command": ["../evil.sh"]}', 'x: command: its program is outside of the project'],
    ['a program that goes up on the way', '{"command": ["./bin/../../evil.sh"]}', 'x: command: its program is outside of the project'],
    ['permissions that do not exist', '{"permissions": "root"}', 'x: permissions: Invalid option: expected one of "ask"|"edit"|"full"'],
    ['a yes in words', '{"isolate": "yes"}', 'x: isolate: Invalid input: expected boolean'],
    ['a capability with blanks', '{"capabilities": ["a b"]}', 'x: capabilities[0]: "a b" is not a name'],
    ['labels as a list', '{"labels": ["a"]}', 'x: labels: Invalid input: expected record'],
    ['a label without a name', '{"labels": {"": "x"}}', 'x: labels.""'],
    ['a label of another world', '{"labels": {"a": "b", "__proto__": "c"}}', 'x: labels.__proto__: is not the name of a label'],
    ['a label with a newline', '{"labels": {"a": "b\\nc"}}', 'x: labels.a: has a control character'],
    ['a variable that is none', '{"env": ["A B=1"]}', 'x: env[0]: is not NAME or NAME=VALUE'],
    ['a variable with a NUL byte', '{"env": ["A=\\u0000"]}', 'x: env[0]: has a NUL byte'],
    ['variables as a map', '{"env": {"A": "1"}}', 'x: env: Invalid input: expected array'],
    ['too many variables', JSON.stringify({ env: Array.from({ length: 101 }, (_, at) => `A${at}`) }), 'x: env: has more than 100 entries'],
    ['a visibility that does not exist', '{"visibility": "world"}', 'x: visibility: Invalid option'],
    ['an empty workspace', '{"defaultWorkspace": ""}', 'x: defaultWorkspace: is empty'],
    ['a directory of its own choice', '{"cwd": "/"}', 'x: unknown key "cwd"'],
    ['a PATH of its own choice', '{"path": "/evil"}', 'x: unknown key "path"'],
  ])('%s', (_what, text, message) => {
    let thrown: unknown;
    try {
      parseManifest(text, 'x');
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toMatchObject({ code: 'invalid', message: expect.stringContaining(message) });
    // Nothing in it drives a terminal.
    expect(neutralise((thrown as Error).message)).toBe((thrown as Error).message);
  });
});

describe('the file', () => {
  let directory: string;
  let project: string;
  beforeEach(() => {
    directory = realpathSync(mkdtempSync(join(tmpdir(), 'beckon-manifest-')));
    project = join(directory, 'shop');
    mkdirSync(join(project, '.beckon'), { recursive: true });
  });
  afterEach(() => rmSync(directory, { recursive: true }));
  const path = (): string => join(project, '.beckon', 'project.json');
  const flawed = (why: string) => ({ code: 'invalid', message: `${path()}: ${why}` });

  test('is read from the project; none is none', async () => {
    await expect(readManifest(project)).resolves.toBeUndefined();
    writeFileSync(path(), '{"name": "shop"}');
    await expect(readManifest(project)).resolves.toEqual({ name: 'shop' });
    await expect(readManifest(join(directory, 'missing'))).resolves.toBeUndefined();
  });

  test('may be a link within the project, and none that leads out of it', async () => {
    writeFileSync(join(project, 'agent.json'), '{"name": "shop"}');
    symlinkSync('../agent.json', path());
    await expect(readManifest(project)).resolves.toEqual({ name: 'shop' });
    rmSync(path());
    writeFileSync(join(directory, 'secret.json'), '{"name": "secret"}');
    symlinkSync('../../secret.json', path());
    await expect(readManifest(project)).rejects.toMatchObject(flawed('it leads out of the project'));
    rmSync(join(project, '.beckon'), { recursive: true });
    mkdirSync(join(directory, 'elsewhere'));
    writeFileSync(join(directory, 'elsewhere', 'project.json'), '{"name": "secret"}');
    symlinkSync('../elsewhere', join(project, '.beckon'));
    await expect(readManifest(project)).rejects.toMatchObject(flawed('it leads out of the project'));
  });

  test('a link to nothing, a directory, and a pipe that nobody writes to are refused, at once', async () => {
    symlinkSync('nowhere', path());
    await expect(readManifest(project)).rejects.toMatchObject(flawed('it can’t be read (ENOENT)'));
    rmSync(path());
    mkdirSync(path());
    await expect(readManifest(project)).rejects.toMatchObject(flawed('it is not a file'));
    rmSync(path(), { recursive: true });
    execFileSync('mkfifo', [path()]);
    await expect(readManifest(project)).rejects.toMatchObject(flawed('it is not a file'));
  });

  test('is no larger than 64 KiB, and UTF-8', async () => {
    const pad = (size: number): string => `{"name":"shop"${' '.repeat(size - 15)}}`;
    writeFileSync(path(), pad(65_536));
    await expect(readManifest(project)).resolves.toEqual({ name: 'shop' });
    writeFileSync(path(), pad(65_537));
    await expect(readManifest(project)).rejects.toMatchObject(flawed('it has 65537 bytes, more than 65536'));
    writeFileSync(path(), pad(1024 * 1024));
    await expect(readManifest(project)).rejects.toMatchObject(flawed('it has 1048576 bytes, more than 65536'));
    writeFileSync(path(), Buffer.from([0x7b, 0xff, 0x7d]));
    await expect(readManifest(project)).rejects.toMatchObject(flawed('it is not UTF-8'));
  });
});
