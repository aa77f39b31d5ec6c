import { existsSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createSupervision } from '../../../src/app/supervision.ts';
import type { SupervisionParts } from '../../../src/app/supervision.ts';
import type { EntryPlan, Supervision } from '../../../src/domain/supervision-port.ts';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'beckon-supervision-'));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const uid = process.getuid?.() ?? 0;
const asked: readonly string[] = [];

/** Of a user at home below `root`. */
function ofAda(over: Partial<SupervisionParts> = {}): Supervision {
  const home = join(root, 'home', 'ada');
  mkdirSync(home, { recursive: true });
  return createSupervision({
    env: { HOME: home, PATH: '/usr/bin:/bin', LANG: 'C' },
    platform: 'linux',
    uid: uid === 0 ? 1000 : uid,
    ppid: 1,
    own: { name: 'ada', home },
    argv: ['/opt/node', '/opt/beckon/main.js'],
    run: (_program, args) => Promise.resolve({ code: 0, stdout: args[0] === 'passwd' ? `${String(args.at(-1))}:x:1000:1000::${home}:/bin/sh\n` : '', stderr: '' }),
    processAt: () => Promise.resolve(undefined),
    root,
    ...over,
  });
}
const ofRoot = (env: Record<string, string>): Supervision => ofAda({ uid: 0, own: { name: 'root', home: join(root, 'root') }, env: { HOME: join(root, 'root'), PATH: '/sbin', ...env } });
const planned = (supervision: Supervision): Promise<EntryPlan> => supervision.plan({ scope: 'user', asked });

describe('files of an entry', () => {
  test('are written once: the second plan finds them as they are', async () => {
    const first = await planned(ofAda());
    expect([first.entry, first.environment]).toEqual(['absent', 'absent']);
    await ofAda().write(first);
    const { supervisor } = first;
    expect(statSync(supervisor.environmentPath).mode & 0o777).toBe(0o600);
    expect(await planned(ofAda())).toMatchObject({ entry: 'same', environment: 'same' });
    expect(await ofAda().remove(first)).toEqual([supervisor.entryPath, supervisor.environmentPath]);
    expect(existsSync(supervisor.entryPath)).toBe(false);
  });
});

describe('a plan', () => {
  test('changes nothing', async () => {
    const { supervisor } = await planned(ofAda());
    expect(existsSync(join(root, 'home', 'ada', '.config'))).toBe(false);
    expect(supervisor.entryPath).toBe(join(root, 'home', 'ada', '.config', 'systemd', 'user', 'beckon.service'));
  });

  test('starts the launcher of a checkout, and an installed program with its Node', async () => {
    const installed = await planned(ofAda({ argv: ['/opt/node', '--flag', '/opt/beckon/main.js'] }));
    expect(installed.entryText).toContain('ExecStart=/opt/node --flag /opt/beckon/main.js up --drain 60s\n');
    for (const name of ['scripts', 'src', 'dist']) mkdirSync(join(root, name));
    writeFileSync(join(root, 'scripts', 'beckon'), '', { mode: 0o755 });
    const texts = await Promise.all(['src/main.ts', 'dist/main.js'].map(async (program) => (await planned(ofAda({ argv: ['/opt/node', join(root, program)] }))).entryText));
    expect(texts[0]).toContain(`ExecStart=${join(root, 'scripts', 'beckon')} up --drain 60s\n`);
    expect(texts[1], 'whichever of the two runs now').toBe(texts[0]);
  });

  test('keeps what another shell had, takes what this one has, and says which is which', async () => {
    const { supervisor } = await planned(ofAda());
    mkdirSync(join(root, 'home', 'ada', '.local', 'state', 'beckon'), { recursive: true });
    writeFileSync(supervisor.environmentPath, 'OPENAI_API_KEY="kept"\nPATH="/old"\n');
    const { environmentText, notes, environment } = await planned(ofAda());
    expect(environmentText).toMatch(/OPENAI_API_KEY="kept"\nPATH="\/usr\/bin:\/bin"/);
    expect([environment, notes]).toEqual(['changed', ['this shell has no OPENAI_API_KEY: as captured before']]);
  });

  test('of a unit that is not this node’s: whose it is', async () => {
    const { supervisor, entryText } = await planned(ofAda());
    mkdirSync(join(supervisor.entryPath, '..'), { recursive: true });
    writeFileSync(supervisor.entryPath, entryText.replace(/^StateDirectory=.*$/m, 'StateDirectory=/other'));
    expect(await planned(ofAda())).toMatchObject({ entry: 'other', otherOwner: '/other' });
    writeFileSync(supervisor.entryPath, '[Service]\nExecStart=/bin/true\n');
    const foreign = await planned(ofAda());
    expect([foreign.entry, foreign.otherOwner]).toEqual(['other', undefined]);
  });
});

describe('whose entry is found', () => {
  const install = async (): Promise<void> => {
    const { entryText, supervisor } = await ofRoot({ SUDO_USER: 'ada' }).plan({ scope: 'system', asked });
    mkdirSync(join(supervisor.entryPath, '..'), { recursive: true });
    writeFileSync(supervisor.entryPath, entryText);
  };

  test('a unit of the machine: by its user, and by sudo of its user', async () => {
    await install();
    expect(await ofAda().installed()).toMatchObject({ user: 'ada', supervisor: { scope: 'system' }, isChangeable: false });
    expect(await ofRoot({ SUDO_USER: 'ada' }).installed()).toMatchObject({ user: 'ada', isChangeable: true });
  });

  test('not by root, who has a node of their own, unless root says whose', async () => {
    await install();
    expect(await ofRoot({}).installed()).toBeUndefined();
    expect(await ofRoot({}).installed('ada')).toMatchObject({ user: 'ada', isChangeable: true });
  });

  test('not by the same user with another home for the node', async () => {
    await install();
    expect(await ofAda({ env: { HOME: join(root, 'home', 'ada'), BECKON_HOME: join(root, 'other') } }).installed()).toBeUndefined();
  });
});
