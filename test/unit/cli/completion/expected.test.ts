import { Writable } from 'node:stream';
import { describe, expect, test } from 'vitest';
import { expectedAt } from '../../../../src/cli/completion/expected.ts';
import { Output } from '../../../../src/cli/output.ts';
import { buildProgram } from '../../../../src/cli/program.ts';
import { flightStates } from '../../../../src/domain/flight.ts';
import { CliProcess } from '../../../support/cli-host.ts';

const { host } = new CliProcess({ socketPath: '/nowhere' });
const program = buildProgram({ host: { ...host, stdout: new Writable() }, out: new Output(host, false), behindDashes: [] }, () => undefined);
const at = (...words: string[]) => expectedAt(program, words);
const valuesAt = (...words: string[]): string[] => at(...words).candidates.map(({ value }) => value);

describe('commands', () => {
  test('all that the help shows, with what each does, and none that is hidden', () => {
    expect(valuesAt('')).toEqual(expect.arrayContaining(['up', 'mesh', 'agents', 'invoke', 'flight', 'completion', 'help']));
    expect(valuesAt('').filter((value) => value.startsWith('_'))).toEqual([]);
    expect(at('').candidates.every(({ about }) => about.length > 0)).toBe(true);
    expect(valuesAt('mesh', '')).toEqual(expect.arrayContaining(['create', 'invite', 'members']));
    expect(valuesAt('help', 'mesh', '')).toEqual(valuesAt('mesh', ''));
  });

  test('behind options that take a value, and those that take none', () => {
    expect(valuesAt('--json', 'mesh', '')).toEqual(valuesAt('mesh', ''));
    expect(at('invoke', '--key', 'mesh', '')).toMatchObject({ source: 'agent', args: [] });
    expect(at('invoke', '--rerunnable', '')).toMatchObject({ source: 'agent', args: [] });
    expect(at('invoke', '--key=mesh', 'fabric', '')).toMatchObject({ args: ['fabric'] });
  });

  test('none where an argument stands already', () => {
    expect(valuesAt('status', '')).toEqual([]);
    expect(valuesAt('flight', 'show', 'last', '')).toEqual([]);
  });
});

test('flags: of the command, and those that every command has, once each', () => {
  const flags = valuesAt('invoke', '-');
  expect(flags).toEqual(expect.arrayContaining(['--key', '--hold', '--json', '--help']));
  expect(new Set(flags).size).toBe(flags.length);
  expect(valuesAt('agents', '--w')).toContain('--watch');
});

describe('values', () => {
  test('of a flag that knows them', () => {
    expect(valuesAt('flights', '--state', '')).toEqual(flightStates);
    expect(valuesAt('flights', '--state=')).toEqual(flightStates.map((state) => `--state=${state}`));
    expect(valuesAt('agent', 'add', '--permissions', '')).toEqual(['ask', 'edit', 'full']);
    expect(valuesAt('completion', '')).toEqual(['bash', 'zsh', 'fish']);
  });

  test.each<[string[], string | undefined, string?]>([
    [['invoke', ''], 'agent'],
    [['invoke', 'fabric', ''], undefined],
    [['agent', 'rm', ''], 'agent'],
    [['resolve', ''], 'agent'],
    [['agents', ''], 'agent'],
    [['agents', '--node', ''], 'node'],
    [['agents', '--node=la'], 'node', '--node='],
    [['agents', '--label', ''], 'label'],
    [['agents', '--cap', ''], 'capability'],
    [['agents', '--owner', ''], 'owner'],
    [['invoke', 'x', '--harness', ''], 'harness'],
    [['ping', ''], 'node'],
    [['flight', 'show', ''], 'flight'],
    [['trace', ''], 'flight'],
    [['flights', '--agent', ''], 'agent'],
    [['deliveries', '--invocation', ''], 'flight'],
    [['delivery', 'redrive', ''], 'delivery'],
    [['flight', 'approve', ''], 'waitingFlight'],
    [['flight', 'approve', 'last', ''], 'request'],
    [['flight', 'reply', ''], 'waitingFlight'],
    [['flight', 'reply', 'last', ''], undefined],
    [['invoke', 'x', '-f', ''], 'file'],
    [['invoke', 'x', '--file='], 'file', '--file='],
    [['agent', 'add', '--cwd', ''], 'directory'],
    [['agent', 'add', 'x', '--', ''], 'file'],
    [['up', '--name', ''], undefined],
    [['mesh', 'create', ''], undefined],
    [['no', 'such', 'command', ''], undefined],
  ])('%j', (words, source, before) => {
    expect([at(...words).source, at(...words).before]).toEqual([source, before]);
  });
});
