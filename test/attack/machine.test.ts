/** What else is on the machine: things planted where a node keeps its own, other users, files of it that were changed behind its back. */
import { spawnSync, execFileSync } from 'node:child_process';
import { chmodSync, cpSync, existsSync, lstatSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { afterAll, beforeAll, expect } from 'vitest';
import { attack, harmless, toldBy, toldByError } from '../support/attack.ts';
import type { Told } from '../support/attack.ts';
import { AttackedMachine, toldByAll } from '../support/attacked-machine.ts';
import { beckon } from '../support/cli.ts';
import { freePort } from '../support/cluster.ts';
import { missing, notRoot } from '../support/programs.ts';
import { waitFor } from '../support/wait-for.ts';

let machine: AttackedMachine;
/** A home with a store, whose node is down. */
let model: string;
beforeAll(async () => {
  machine = await AttackedMachine.start();
  model = at('model');
  mkdirSync(model, { mode: 0o700 });
  const { code, stderr } = await beckon(['agent', 'add', 'idle', '--workspace', 'main', '--', 'cat'], { home: model });
  if (code !== 0) throw new Error(stderr);
}, 60_000);
afterAll(() => machine?.[Symbol.asyncDispose]());

const victim = () => machine.attacked();
const at = (...names: readonly string[]): string => machine.cluster.path(...names);

/** As long as it would take to start: one that does is an error of the case. */
async function upAt(home: string): Promise<Told> {
  const run = machine.victim.start(['up', '--name', 'planted', '--listen', `127.0.0.1:${await freePort()}`, '--gossip-listen', 'off', '--tailscale', 'off', '--json'], { env: { BECKON_HOME: home }, cwd: at() });
  const started = run.event('ready').then(
    () => true,
    () => false,
  );
  if (await started) {
    run.signal('SIGTERM');
    await run.ended;
    throw new Error(`a node started at ${home}`);
  }
  return toldBy(await run.ended);
}

async function upAtAll(homes: readonly string[]): Promise<Told[]> {
  const told: Told[] = [];
  for (let from = 0; from < homes.length; from += 3) told.push(...(await Promise.all(homes.slice(from, from + 3).map(upAt))));
  return told;
}

function copyOfModel(name: string): string {
  cpSync(model, at(name), { recursive: true });
  chmodSync(at(name), 0o700);
  rmSync(join(at(name), 'run'), { recursive: true, force: true });
  return at(name);
}

attack('links, files and open directories where the node keeps its socket, its log, its keys and its store', {
  victim,
  arrange: () => {
    mkdirSync(at('theirs'), { mode: 0o700 });
    writeFileSync(at('theirs', 'file'), 'theirs');
    symlinkSync(at('theirs'), at('linked-home'));
    const planted = (name: string, plant: (home: string) => void): string => {
      const home = copyOfModel(name);
      for (const each of ['logs']) rmSync(join(home, each), { recursive: true, force: true });
      plant(home);
      return home;
    };
    return Promise.resolve([
      at('linked-home'),
      planted('socket-directory', (home) => symlinkSync(at('theirs'), join(home, 'run'))),
      planted('socket-open', (home) => execFileSync('mkdir', ['-m', '0777', join(home, 'run')])),
      planted('socket-file', (home) => {
        mkdirSync(join(home, 'run'), { mode: 0o700 });
        writeFileSync(join(home, 'run', 'control.sock'), 'x');
      }),
      planted('log-directory', (home) => symlinkSync(at('theirs'), join(home, 'logs'))),
      planted('store-link', (home) => {
        rmSync(join(home, 'beckon.db'));
        symlinkSync(at('theirs', 'file'), join(home, 'beckon.db'));
      }),
      planted('store-open', (home) => chmodSync(join(home, 'beckon.db'), 0o666)),
      planted('key-link', (home) => {
        rmSync(join(home, 'trust', 'node.key'), { force: true });
        symlinkSync(at('theirs', 'file'), join(home, 'trust', 'node.key'));
      }),
      planted('key-open', (home) => chmodSync(join(home, 'trust', 'node.key'), 0o644)),
    ]);
  },
  act: upAtAll,
  refused: { code: ['denied', 'conflict'], words: /refused|belongs|open to others|in the way|link|mode/ },
  logged: { none: 'there is no node yet: who starts it is told' },
  holds: () => expect([execFileSync('ls', ['-A', at('theirs')]).toString(), readFileSync(at('theirs', 'file'), 'utf8')]).toEqual(['file\n', 'theirs']),
  shows: 'a node does not start over what was planted: it names it, and nothing is written through a link',
});

attack('destinations of a backup and of a recovery file that are there already', {
  victim,
  arrange: () => {
    mkdirSync(at('targets'));
    writeFileSync(at('targets', 'file'), 'kept');
    symlinkSync(at('targets', 'file'), at('targets', 'link'));
    symlinkSync(at('targets', 'nowhere'), at('targets', 'dangling'));
    mkdirSync(at('targets', 'directory'));
    execFileSync('mkfifo', [at('targets', 'pipe')]);
    return Promise.resolve(['file', 'directory', 'pipe', 'link', 'dangling']);
  },
  act: (names) =>
    toldByAll([
      ...names.map((name) => () => machine.person.backup(at('targets', name))),
      ...names.slice(-2).map((name) => () => machine.person.exportRecovery({ path: at('targets', name), passphrase: 'twelve letters and more', move: false })),
    ]),
  refused: { code: 'conflict' },
  logged: { none: 'who asked is told' },
  // scrypt wants 128 MiB for a passphrase.
  growsMb: 192,
  holds: () => expect([readFileSync(at('targets', 'file'), 'utf8'), existsSync(at('targets', 'nowhere')), lstatSync(at('targets', 'pipe')).isFIFO(), execFileSync('ls', ['-A', at('targets')]).toString()]).toEqual(['kept', false, true, 'dangling\ndirectory\nfile\nlink\npipe\n']),
  shows: 'neither is ever written over something, through a link, or left half',
});

attack('another user of the machine at the socket, the store and the keys', {
  victim,
  skip: notRoot ?? missing('setpriv'),
  arrange: () => {
    // What stands above the node's home is not its own.
    chmodSync(at(), 0o755);
    return Promise.resolve();
  },
  act: () => {
    const { home, socketPath, databasePath } = machine.victim;
    const script = `const net=require('net'),fs=require('fs');const paths=${JSON.stringify([databasePath, join(home, 'trust', 'node.key'), join(home, 'logs', 'node.log'), home])};
      for (const path of paths) { try { fs.accessSync(path, fs.constants.R_OK); console.log('open '+path) } catch (error) { console.log(error.code) } }
      try { fs.mkdirSync(${JSON.stringify(join(home, 'run', 'x'))}); console.log('made') } catch (error) { console.log(error.code) }
      net.connect(${JSON.stringify(socketPath)}).on('connect',()=>{console.log('connected');process.exit()}).on('error',(error)=>console.log(error.code))`;
    const { stdout } = spawnSync('setpriv', ['--reuid=65534', '--regid=65534', '--clear-groups', process.execPath, '-e', script], { cwd: '/', env: { PATH: '/usr/bin:/bin' } });
    const lines = stdout.toString().trim().split('\n');
    expect(lines).toHaveLength(6);
    return Promise.resolve(lines.map((words): Told => ({ code: words === 'EACCES' || words === 'EPERM' ? 'denied' : 'internal', words })));
  },
  refused: { code: 'denied' },
  logged: { none: 'the kernel refuses it, and nobody asks the node' },
  shows: 'the home of a node is its user’s alone: nobody else reads what is in it, makes anything there, or reaches its socket',
});

attack('files that are no store of this node any more', {
  victim,
  arrange: () => {
    const changed = (name: string, change: (path: string) => void): string => {
      const home = copyOfModel(name);
      change(join(home, 'beckon.db'));
      return home;
    };
    const sql = (name: string, text: string): string =>
      changed(name, (path) => {
        const db = new Database(path);
        db.pragma('journal_mode = DELETE');
        db.unsafeMode();
        db.exec(text);
        db.close();
      });
    const bytes = (name: string, offset: number, value: readonly number[]): string =>
      changed(name, (path) => {
        const whole = readFileSync(path);
        whole.set(value, offset);
        writeFileSync(path, whole);
      });
    return Promise.resolve([
      sql('db-trigger', 'CREATE TRIGGER evil AFTER INSERT ON events BEGIN DELETE FROM revocations; DELETE FROM agent_shares; END'),
      sql('db-view', 'CREATE VIEW agents_of_all AS SELECT * FROM agents'),
      sql('db-newer', 'PRAGMA user_version = 9999'),
      bytes('db-pages', 16, [0x00, 0x03]),
      changed('db-garbage', (path) => writeFileSync(path, Buffer.alloc(100_000, 0xa5))),
      changed('db-large', (path) => {
        writeFileSync(path, 'no database');
        execFileSync('truncate', ['-s', '64G', path]);
      }),
    ]);
  },
  act: upAtAll,
  refused: { code: ['invalid', 'incompatible'] },
  logged: { none: 'there is no node yet: who starts it is told' },
  shows: 'what no version of the program can have written is refused before anything of it runs or is changed',
  timeoutMs: 90_000,
});

attack('settings that are none, without end, or not there yet', {
  victim,
  act: async () => {
    const path = join(machine.victim.home, 'config.toml');
    const contents: readonly (() => void)[] = [
      () => writeFileSync(path, 'heartbeat_ms = -1\n', { mode: 0o600 }),
      () => writeFileSync(path, 'notify = "sh -c evil"\nunknown = 1\n', { mode: 0o600 }),
      () => writeFileSync(path, `x = ${'['.repeat(50_000)}`, { mode: 0o600 }),
      () => writeFileSync(path, Buffer.from([0xff, 0x00, 0xfe]), { mode: 0o600 }),
      () => execFileSync('truncate', ['-s', '8G', path]),
      () => execFileSync('mkfifo', [path]),
      () => symlinkSync('/dev/zero', path),
    ];
    const told: Told[] = [];
    for (const write of contents) {
      rmSync(path, { force: true });
      write();
      const before = machine.victim.log.split('the config file is not taken').length;
      process.kill(machine.victim.pid ?? 0, 'SIGHUP');
      await waitFor('the node to have read it', () => machine.victim.log.split('the config file is not taken').length > before);
      const { flaws } = (await machine.person.showConfig()) as unknown as { flaws: readonly { why: string }[] };
      told.push({ code: 'invalid', words: JSON.stringify(flaws) });
    }
    rmSync(path, { force: true });
    return told;
  },
  refused: { code: 'invalid' },
  logged: { line: /the config file is not taken, and nothing is changed/, each: true },
  shows: 'a config file that is wrong changes nothing: one line says where it is wrong, and the node goes on as it was',
});

attack('the store of a node that lets others in, put back to before an invitation was used', {
  victim,
  arrange: async () => {
    const { victim: issuer, person } = machine;
    const { token } = await person.createInvite({});
    const unused = await person.createInvite({});
    await person.backup(at('before.db'));
    const first = await machine.cluster.node('first');
    await first.up({ flags: ['--join', '-'], stdin: `${token}\n` });
    await first.kill9();
    await issuer.kill9();
    for (const suffix of ['-wal', '-shm']) rmSync(`${issuer.databasePath}${suffix}`, { force: true });
    cpSync(at('before.db'), issuer.databasePath);
    await issuer.up();
    await waitFor('its user to be connected', () => person.status().then(() => true, () => false));
    return [token, unused.token];
  },
  act: async (tokens) => {
    const told: Told[] = [];
    for (const [index, token] of tokens.entries()) {
      const late = await machine.cluster.node(`late${index}`);
      const run = late.start(['up', '--name', `late${index}`, '--listen', late.place.listen, '--gossip-listen', 'off', '--tailscale', 'off', '--join', '-', '--json'], { stdin: `${token}\n` });
      told.push(toldBy(await run.ended));
    }
    return told;
  },
  refused: { code: 'denied', words: /wrong, used or out of date/ },
  logged: { line: /"msg":"a connection was refused"/, each: true },
  audit: ['invite.refused'],
  besides: /put back to an older state/,
  stores: [{ table: 'registry_heads', most: 2, why: 'its own list, said anew after the start' }],
  holds: async () => {
    const { token } = await machine.person.createInvite({});
    expect(token).toMatch(/^bkn1\./);
    expect(machine.victim.log).toContain('put back to an older state');
  },
  shows: 'nobody here knows which of the invitations of before were used: none of them lets anybody in any more',
  timeoutMs: 90_000,
});

attack('a store that was put back is asked to run again what it had already run', {
  victim,
  arrange: async () => {
    const { victim: issuer, person } = machine;
    const noting = await machine.add('noting', ['/bin/sh', '-c', `cat >> ${at('effects')}`]);
    const gate = await machine.hold();
    const flightId = await machine.begin(noting, 'once\n', { key: 'one-and-only' });
    await waitFor('it to have run', async () => (await person.getFlight(flightId)).flight.state === 'completed');
    await gate.release();
    await person.backup(at('with-key.db'));
    await issuer.kill9();
    for (const suffix of ['-wal', '-shm']) rmSync(`${issuer.databasePath}${suffix}`, { force: true });
    cpSync(at('with-key.db'), issuer.databasePath);
    await issuer.up();
    await waitFor('its user to be connected', () => person.status().then(() => true, () => false));
    return { noting, flightId, was: gate.token };
  },
  act: async ({ noting, flightId, was }) => {
    // A key of before still stands for the first flight, and a token of before for none.
    expect(await machine.begin(noting, 'once\n', { key: 'one-and-only' })).toBe(flightId);
    expect(await toldByError(machine.begin(noting, 'another\n', { key: 'one-and-only' }))).toMatchObject({ code: 'conflict' });
    return [await toldByError((await machine.asFlight(was)).status()), { ...harmless, code: 'unauthenticated' }];
  },
  refused: { code: 'unauthenticated' },
  logged: { line: /a process of a flight was refused what it asked/ },
  besides: /put back to an older state/,
  stores: [{ table: 'registry_heads', most: 2, why: 'its own list, said anew after the start' }],
  holds: () => expect(readFileSync(at('effects'), 'utf8')).toBe('once\n'),
  shows: 'keys that the copy knows still stand for their first flight, and the tokens of flights that ran then open nothing',
  timeoutMs: 60_000,
});
