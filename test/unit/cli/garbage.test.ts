import fc from 'fast-check';
import { expect, test } from 'vitest';
import { exitCodes } from '../../../src/cli/exit.ts';
import { CliProcess } from '../../support/cli-host.ts';

const words = [
  'up', 'down', 'restart', 'status', 'version', 'mesh', 'create', 'invite', 'join', 'members', 'peers', 'ping', 'agent', 'add', 'rm', 'show', 'agents',
  'resolve', 'invoke', 'flights', 'flight', 'follow', 'output', 'wait', 'cancel', 'deliveries', 'delivery', 'trace', 'help', '--json', '--help', '--', '-',
  '--limit', '--after', '--hold', '--no-hold', '--name', '--listen', '--seed', '--key', '-f', '-q', '--label', '--state', '--timeout', '--version', '-V',
  '0', '1000', 'last', '30s', '.', '', '--limit=0', '--hold=', '@a@b#c', 'k51', '%zz',
];

const argv = fc.array(fc.oneof(fc.constantFrom(...words), fc.string({ maxLength: 12 }), fc.string({ unit: 'binary', maxLength: 6 })), { maxLength: 7 });

test('whatever is typed, the exit code is one of the table and nobody sees a stack', async () => {
  await fc.assert(
    fc.asyncProperty(argv, async (given) => {
      const ran = new CliProcess({ socketPath: '/nowhere/control.sock', run: () => Promise.reject(new Error('no node in this test')) });
      const code = await ran.run(...given);
      expect(exitCodes).toContain(code);
      const said = ran.stdout + ran.stderr;
      expect(said).not.toMatch(/^\s+at .+:\d+:\d+\)?$/m);
      expect(said).not.toContain('CommanderError');
      // eslint-disable-next-line no-control-regex
      expect(said).not.toMatch(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/);
      if (code !== 0) expect(said).not.toBe('');
    }),
    { numRuns: 400 },
  );
});

test('with --json an error is one document on stdout, whatever was typed', async () => {
  await fc.assert(
    fc.asyncProperty(argv, async (given) => {
      const ran = new CliProcess({ socketPath: '/nowhere/control.sock', run: () => Promise.reject(new Error('no node in this test')) });
      const code = await ran.run('--json', ...given);
      if (code === 0) return;
      expect(ran.json).toMatchObject({ type: 'error', error: { code: expect.any(String), message: expect.any(String), hint: expect.any(String) } });
    }),
    { numRuns: 200 },
  );
});

test('a defect is internal: one line, exit 70', async () => {
  const ran = new CliProcess({ socketPath: '/nowhere/control.sock', run: () => Promise.reject(new TypeError('x is undefined\n    at secret.ts:1:1')) });
  expect([await ran.run('up'), ran.stdout]).toEqual([70, '']);
  expect(ran.stderr).toBe('error: beckon itself failed: TypeError: x is undefined\n');
});

test('every command has an example in its help, and bare beckon shows the help', async () => {
  const commands = [
    ['up'], ['down'], ['restart'], ['status'], ['version'], ['mesh'], ['mesh', 'create'], ['mesh', 'invite'], ['mesh', 'join'], ['mesh', 'members'], ['peers'], ['ping'],
    ['agent'], ['agent', 'add'], ['agent', 'rm'], ['agent', 'show'], ['agents'], ['resolve'], ['invoke'], ['flights'], ['flight'], ['flight', 'show'], ['flight', 'follow'],
    ['flight', 'output'], ['flight', 'wait'], ['flight', 'cancel'], ['deliveries'], ['delivery'], ['delivery', 'show'], ['trace'], [],
  ];
  for (const command of commands) {
    const ran = new CliProcess({ socketPath: '/nowhere' });
    const code = await ran.run(...command, ...(command.length === 0 ? [] : ['--help']));
    expect([command, code]).toEqual([command, 0]);
    expect(ran.stdout).toMatch(/Examples?:\n {2}\$ beckon /);
  }
});

test.each([
  [['stauts'], "unknown command 'stauts'", 'did you mean status?'],
  [['flights', '--stat', 'x'], "unknown option '--stat'", 'did you mean --state?'],
  [['agent'], 'a command is missing', 'see its commands with --help'],
  [['flights', '--limit', '1001'], '--limit: "1001" is not a whole number from 1 to 1000', undefined],
  [['invoke', '@Fab ric', 'x'], '"@Fab ric" is not an address: column 5: a name can\'t contain " "', 'try fab-ric'],
  [['flight', 'show', 'abc'], '"abc" is not an id: 4 characters at least', expect.stringContaining('give an id')],
])('%j is a usage error that helps', async (given, message, hint) => {
  const ran = new CliProcess({ socketPath: '/nowhere' });
  expect(await ran.run(...given, '--json')).toBe(2);
  expect(ran.json['error']).toMatchObject({ code: 'invalid', message, ...(hint === undefined ? {} : { hint }) });
});
