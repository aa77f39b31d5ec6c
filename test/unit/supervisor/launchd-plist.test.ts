/** Read by Python's parser of property lists: `plutil` is on macOS only. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempDisposableSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { Launch } from '../../../src/domain/supervision-port.ts';
import { launchdPlist, stateDirOfPlist } from '../../../src/supervisor/launchd-plist.ts';
import { because, findProgram, missing } from '../../support/programs.ts';

const noPython = missing('python3');
const python = findProgram('python3') ?? '';
const read = (text: string): any => JSON.parse(execFileSync(python, ['-c', 'import json, plistlib, sys; json.dump(plistlib.loads(sys.stdin.buffer.read()), sys.stdout)'], { input: text, encoding: 'utf8' }));

const odd = '/Users/ada/a <b> & "c" \'d\' $HOME ü';
const launch: Launch = {
  argv: [`${odd}/node`, `${odd}/main.js`, 'up', '--drain', '60s'],
  environment: { BECKON_HOME: odd },
  stateDir: odd,
  logDir: `${odd}/logs`,
  user: 'ada',
};

describe('the property list of a node', () => {
  test.skipIf(noPython !== undefined)(`is one that a parser reads, with each path as it is${because(noPython)}`, () => {
    const agent = read(launchdPlist(launch, `${odd}/service.env`));
    expect(agent).toMatchObject({ Label: 'dev.beckon.node', RunAtLoad: true, KeepAlive: { SuccessfulExit: false }, EnvironmentVariables: { BECKON_HOME: odd }, StandardErrorPath: `${odd}/logs/launchd.log` });
    expect(agent.ProgramArguments.slice(0, 2)).toEqual(['/bin/sh', '-c']);
    expect(agent.ProgramArguments.slice(3)).toEqual(['beckon', `${odd}/service.env`, ...launch.argv]);
    expect(agent.ExitTimeOut).toBeGreaterThanOrEqual(75);
  });

  test.skipIf(noPython !== undefined)(`its shell becomes the program, with the environment of the file and the arguments unchanged${because(noPython)}`, () => {
    using directory = mkdtempDisposableSync(join(tmpdir(), 'beckon-plist-'));
    const environment = join(directory.path, "a 'b'.env");
    writeFileSync(environment, 'A="from the file"\n');
    const agent = read(launchdPlist({ ...launch, argv: ['/bin/sh', '-c', 'echo "$A|$1|$0|$$"', 'zero', 'a  b $HOME'] }, environment));
    const [shell, ...args] = agent.ProgramArguments as string[];
    const { stdout, pid } = spawnSync(shell ?? '', args, { encoding: 'utf8' });
    expect(stdout).toBe(`from the file|a  b $HOME|zero|${pid}\n`);
  });

  test('says whose it is; another does not', () => {
    expect(stateDirOfPlist(launchdPlist(launch, `${odd}/service.env`))).toBe(odd);
    expect(stateDirOfPlist('<plist><dict><key>Label</key><string>x</string></dict></plist>')).toBeUndefined();
  });

  test('a path with a control character is refused', () => {
    expect(() => launchdPlist({ ...launch, stateDir: 'a\u0001' }, '/x')).toThrow(/control character/);
  });
});
