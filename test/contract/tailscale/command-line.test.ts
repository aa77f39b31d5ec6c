import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { TailscaleCommand } from '../../../src/discovery/tailscale/command-line.ts';
import { bodyOf, recorded } from '../../support/recorded-tailscaled.ts';

const directory = mkdtempSync(join(tmpdir(), 'beckon-tailscale-'));
afterAll(() => rmSync(directory, { recursive: true }));
let count = 0;

/** A `tailscale` that answers as recorded. */
function program(script: string): string {
  const path = join(directory, `tailscale-${(count += 1)}`);
  writeFileSync(path, `#!/bin/sh\n${script}\n`);
  chmodSync(path, 0o755);
  return path;
}

function saved(name: string): string {
  const path = join(directory, name);
  writeFileSync(path, bodyOf(recorded(name)));
  return path;
}

const command = (path: string, timeoutMs = 5_000): TailscaleCommand => new TailscaleCommand({ programs: ['no-such-program-here', path], searchPath: '/usr/bin:/bin', socket: '/x.sock', timeoutMs });

test('the program is asked when the daemon can not be, and answers the same', async () => {
  const path = program(
    `[ "$1" = --socket=/x.sock ] || exit 9\ncase "$2 $3 $4" in\n"status --json ") cat ${saved('status-tun')};;\n"status --json --peers=false") cat ${saved('status-without-peers')};;\n` +
      `"whois --json --proto=tcp") case "$5" in 100.64.0.3:1) cat ${saved('whois-tagged')};; *) echo "not found" >&2; exit 1;; esac;;\nesac`,
  );
  const cli = command(path);
  expect((await cli.status()).peers.map(({ id }) => id).toSorted()).toEqual(['2', '3']);
  expect(await cli.whois({ host: '100.64.0.3', port: 1 })).toMatchObject({ id: '3', tags: ['tag:broker'] });
  expect(await cli.whois({ host: '10.0.0.1', port: 1 })).toBeUndefined();
});

test('a tailnet that is not up is a status, and no whois', async () => {
  const cli = command(program(`cat ${saved('status-stopped')}; exit 1`));
  expect((await cli.status()).state).toBe('Stopped');
  await expect(cli.whois({ host: '100.64.0.3', port: 1 })).rejects.toMatchObject({ code: 'unavailable', message: 'the tailnet is not up: tailscaled is in state Stopped', hint: 'start it: tailscale up' });
});

test('a program that is missing, hangs or prints something else is said to be so', async () => {
  await expect(new TailscaleCommand({ programs: ['no-such-program-here'], searchPath: '/usr/bin' }).status()).rejects.toMatchObject({ code: 'unavailable', message: 'there is no program no-such-program-here' });
  await expect(command(program('exec sleep 60'), 200).status()).rejects.toMatchObject({ code: 'unavailable', message: expect.stringContaining('did not end within 0.2 s') });
  await expect(command(program('echo hello')).status()).rejects.toMatchObject({ message: 'the status of tailscaled is not JSON' });
});
