import { describe, expect, test } from 'vitest';
import { findPlaces } from '../../../../src/discovery/tailscale/place.ts';
import type { PlaceProbe } from '../../../../src/discovery/tailscale/place.ts';

const nothing: PlaceProbe = {
  readLink: () => Promise.reject(new Error('ENOENT')),
  readText: () => Promise.reject(new Error('ENOENT')),
  run: () => Promise.reject(new Error('no such program')),
  whose: () => Promise.resolve('own'),
};

describe('where tailscaled is looked for', () => {
  test('Linux: its socket, and those of two makers of storage boxes', async () => {
    expect(await findPlaces('linux', 1000, nothing)).toEqual(
      ['/var/run/tailscale/tailscaled.sock', '/var/packages/Tailscale/var/tailscaled.sock', '/tmp/tailscale/tailscaled.sock'].map((path) => ({ kind: 'socket', path })),
    );
  });

  test('a socket that another user of the machine put there is named and not asked; of a place where others could put one, nothing is tried', async () => {
    const whose: PlaceProbe['whose'] = (path) => Promise.resolve(path.startsWith('/tmp/') ? 'foreign' : path.startsWith('/var/packages/') ? 'free' : 'own');
    expect(await findPlaces('linux', 1000, { ...nothing, whose })).toEqual([
      { kind: 'socket', path: '/var/run/tailscale/tailscaled.sock' },
      { kind: 'socket', path: '/tmp/tailscale/tailscaled.sock', distrusted: expect.stringMatching(/another user/) },
    ]);
  });

  test('macOS: the open daemon alone when no application is there', async () => {
    expect(await findPlaces('darwin', 501, nothing)).toEqual([{ kind: 'socket', path: '/var/run/tailscaled.socket' }]);
  });

  test('macOS, standalone application: the port from a link, the token from a file', async () => {
    const probe: PlaceProbe = {
      ...nothing,
      readLink: (path) => Promise.resolve(path === '/Library/Tailscale/ipnport' ? '49152' : ''),
      readText: (path) => Promise.resolve(path === '/Library/Tailscale/sameuserproof-49152' ? '0a1b2c3d4e5f60718293\n' : ''),
    };
    expect((await findPlaces('darwin', 501, probe))[0]).toEqual({ kind: 'port', port: 49152, token: '0a1b2c3d4e5f60718293' });
  });

  test('macOS, from the App Store: port and token from the name of a file that it holds open', async () => {
    let asked: readonly string[] = [];
    const run: PlaceProbe['run'] = (program, args) => {
      asked = [program, ...args];
      return Promise.resolve('p612\ncIPNExtension\nf12\nn/Users/ann/Library/Group Containers/W5364U7YZB.group.io.tailscale.ipn.macos/sameuserproof-53412-aabbccddeeff00112233\nf13\n');
    };
    expect((await findPlaces('darwin', 501, { ...nothing, run }))[0]).toEqual({ kind: 'port', port: 53412, token: 'aabbccddeeff00112233' });
    expect(asked).toEqual(['lsof', '-n', '-a', '-u501', '-c', 'IPNExtension', '-F']);
  });

  test('what can not be understood is passed over', async () => {
    const probe: PlaceProbe = { ...nothing, readLink: () => Promise.resolve('../../etc'), readText: () => Promise.resolve('x'), run: () => Promise.resolve('n/x/sameuserproof-1-zz') };
    expect(await findPlaces('darwin', 501, probe)).toHaveLength(1);
  });
});
