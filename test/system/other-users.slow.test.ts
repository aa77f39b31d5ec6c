/** Two users of one machine: what the one can do about the other's node, with real processes of both. */
import { spawn, spawnSync } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { because, notRoot } from '../support/programs.ts';
import { waitFor } from '../support/wait-for.ts';

const program = fileURLToPath(new URL('../../scripts/beckon', import.meta.url));
// Of no account on any machine.
const [ann, mallory] = [64_123, 64_124];

const as = (uid: number, env: Readonly<Record<string, string>>) => ({ uid, gid: uid, cwd: '/', env: { PATH: '/usr/bin:/bin', HOME: '/nonexistent', ...env } });

function reason(): string | undefined {
  if (notRoot !== undefined) return notRoot;
  const { status } = spawnSync(program, ['version'], as(ann, { NODE_COMPILE_CACHE: '', XDG_CACHE_HOME: '/nonexistent' }));
  return status === 0 ? undefined : 'other users can not read this checkout';
}
const why = reason();

interface Ran {
  readonly code: number | null;
  readonly out: string;
}

/** The command line, as that user. */
function beckon(uid: number, home: string, ...args: readonly string[]): Ran {
  const { status, stdout, stderr } = spawnSync(program, [...args], { ...as(uid, { BECKON_HOME: home, XDG_CACHE_HOME: '/nonexistent' }), encoding: 'utf8', timeout: 60_000 });
  return { code: status, out: stdout + stderr };
}

/** A script, as that user: its last expression is what it found, as JSON. */
function play(uid: number, script: string): unknown {
  const { status, stdout, stderr } = spawnSync(process.execPath, ['-e', `const fs = require('fs'), net = require('net'), path = require('path');\n${script}`], { ...as(uid, {}), encoding: 'utf8', timeout: 20_000 });
  if (status !== 0) throw new Error(stderr);
  return JSON.parse(stdout) as unknown;
}

describe.skipIf(why !== undefined)(`another user of the machine${because(why)}`, () => {
  /** As /tmp is: anybody may make something in it. */
  let shared = '';
  let home = '';
  beforeEach(() => {
    shared = mkdtempSync(join(tmpdir(), 'beckon-users-'));
    chmodSync(shared, 0o1777);
    home = join(shared, 'home');
  });
  afterEach(() => rmSync(shared, { recursive: true, force: true }));

  async function up(): Promise<ChildProcess> {
    const node = spawn(program, ['up', '--name', 'ann', '--listen', '127.0.0.1:0', '--tailscale', 'off'], { ...as(ann, { BECKON_HOME: home, XDG_CACHE_HOME: '/nonexistent' }), stdio: ['ignore', 'pipe', 'ignore'] });
    onTestFinished(() => void node.kill('SIGKILL'));
    let said = '';
    node.stdout?.on('data', (bytes: Buffer) => (said += bytes.toString()));
    await waitFor('the node to be up', () => said.includes('"ready"') || said.includes('is up') || existsSync(join(home, 'run', 'control.sock')), { timeoutMs: 60_000 });
    return node;
  }

  test('reads no file of a node, opens no socket of it, speaks to it by no command and ends it not, also where its directory is open to readers', async () => {
    mkdirSync(home, { mode: 0o755 });
    chownSync(home, ann, ann);
    const node = await up();
    await waitFor('its command line', () => beckon(ann, home, 'status').code === 0);
    // All that is there, as root sees it.
    const all = (readdirSync(home, { recursive: true, withFileTypes: true })).filter((each) => !each.isDirectory()).map((each) => join(each.parentPath, each.name));
    expect(all).toEqual(expect.arrayContaining([join(home, 'beckon.db'), join(home, 'beckon.db-wal'), join(home, 'trust', 'node.key'), join(home, 'logs', 'node.log'), join(home, 'run', 'control.sock')]));
    const got = play(
      mallory,
      `const got = [];
      const tries = [(p) => fs.readFileSync(p), (p) => fs.appendFileSync(p, 'x'), (p) => fs.unlinkSync(p), (p) => fs.renameSync(p, p + '.moved'), (p) => fs.chmodSync(p, 0o666), (p) => { fs.linkSync(p, ${JSON.stringify(join(shared, 'link'))}); fs.readFileSync(${JSON.stringify(join(shared, 'link'))}); }];
      for (const p of ${JSON.stringify(all)}) for (const [at, attempt] of tries.entries()) try { attempt(p); got.push([at, p]); } catch {}
      for (const p of ['${home}/planted', '${home}/trust/planted.key', '${home}/run/planted', '${home}/logs/planted']) try { fs.writeFileSync(p, 'x'); got.push(p); } catch {}
      try { process.kill(${node.pid}, 'SIGTERM'); got.push('kill'); } catch {}
      try { fs.readFileSync('/proc/${node.pid}/environ'); got.push('environ'); } catch {}
      const socket = net.connect('${home}/run/control.sock');
      socket.once('connect', () => { got.push('socket'); socket.destroy(); });
      socket.once('error', () => undefined);
      socket.once('close', () => console.log(JSON.stringify(got)));`,
    );
    expect(got).toEqual([]);
    for (const command of [['status'], ['agents'], ['mesh', 'create'], ['down', '--force']]) expect([...command, beckon(mallory, home, ...command).code]).toEqual([...command, 5]);
    expect(beckon(ann, home, 'status').code).toBe(0);
  });

  test('who made the directory of the state beforehand, or a link, or can write above it, has no node in it', () => {
    const planted = (make: () => void, why: RegExp): void => {
      make();
      const { code, out } = beckon(ann, home, 'up', '--detach');
      expect({ code, out }).toMatchObject({ code: 5, out: expect.stringMatching(why) });
      rmSync(home, { recursive: true, force: true });
    };
    planted(() => play(mallory, `fs.mkdirSync('${home}', { mode: 0o777 }); fs.chmodSync('${home}', 0o777); console.log(1)`), /belongs to user 64124[^]*chown 64123/);
    planted(() => play(mallory, `fs.mkdirSync('${shared}/elsewhere'); fs.symlinkSync('${shared}/elsewhere', '${home}'); console.log(1)`), /symbolic link/);
    // Ann's own, below one that Mallory can swap.
    const below = join(shared, 'open');
    mkdirSync(below);
    chmodSync(below, 0o777);
    mkdirSync(join(below, 'home'), { mode: 0o700 });
    chownSync(join(below, 'home'), ann, ann);
    expect(beckon(ann, join(below, 'home'), 'up', '--detach')).toMatchObject({ code: 5, out: expect.stringContaining(`chmod o-w ${below}`) });
    // A link of Mallory's on the way.
    symlinkSync(join(shared, 'elsewhere'), join(shared, 'way'));
    spawnSync('chown', ['-h', `${mallory}`, join(shared, 'way')]);
    expect(beckon(ann, join(shared, 'way', 'home'), 'up', '--detach')).toMatchObject({ code: 5, out: expect.stringContaining('is a symbolic link of user 64124') });
  });

  test('who made the directory for the socket of a long home beforehand, and listens in it, is told nothing', () => {
    const long = join(shared, 'a'.repeat(90));
    const usual = `/tmp/beckon-${ann}`;
    rmSync(usual, { recursive: true, force: true });
    onTestFinished(() => rmSync(usual, { recursive: true, force: true }));
    const listener = spawn(
      process.execPath,
      ['-e', `const fs = require('fs'), net = require('net'), { createHash } = require('crypto'); fs.mkdirSync('${usual}', { mode: 0o755 }); const name = createHash('sha256').update('${long}').digest('hex').slice(0, 16); net.createServer((s) => { console.log('heard'); s.destroy(); }).listen('${usual}/' + name + '.sock', () => { fs.chmodSync('${usual}/' + name + '.sock', 0o777); console.log('ready'); });`],
      { ...as(mallory, {}), stdio: ['ignore', 'pipe', 'inherit'] },
    );
    onTestFinished(() => void listener.kill('SIGKILL'));
    let heard = '';
    listener.stdout.on('data', (bytes: Buffer) => (heard += bytes.toString()));
    return waitFor('the listener', () => heard.includes('ready')).then(() => {
      const refused = { code: 5, out: expect.stringContaining('belongs to user 64124') };
      expect(beckon(ann, long, 'invoke', '@echo', 'a secret task')).toMatchObject(refused);
      expect(beckon(ann, long, 'status')).toMatchObject(refused);
      expect(beckon(ann, long, 'up', '--detach')).toMatchObject({ code: 5, out: expect.stringMatching(/beckon-64123.* belongs to user 64124/) });
      expect(heard).toBe('ready\n');
    });
  });
});
