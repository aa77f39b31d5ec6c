/**
 * Where tailscaled answers its LocalAPI. After safesocket_darwin.go and paths.go of tailscale: the applications for macOS
 * listen on a loopback port and leave port and token where only the same user, or an administrator, can read them.
 */
import { execFile } from 'node:child_process';
import { readFile, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { whoseSocket } from './whose-socket.ts';
import type { Whose } from './whose-socket.ts';

export type LocalApiPlace =
  /** @property distrusted why what stands there is not to be asked: another user may have put it there */
  | { readonly kind: 'socket'; readonly path: string; readonly distrusted?: string }
  | { readonly kind: 'port'; readonly port: number; readonly token: string };

/** What is asked of the machine. Each rejects, in any way, for what is not there. */
export interface PlaceProbe {
  readonly readLink: (path: string) => Promise<string>;
  readonly readText: (path: string) => Promise<string>;
  readonly run: (program: string, args: readonly string[]) => Promise<string>;
  /** As `whoseSocket`. */
  readonly whose: (path: string, uid: number) => Promise<Whose>;
}

const sockets: Partial<Record<NodeJS.Platform, readonly string[]>> = {
  darwin: ['/var/run/tailscaled.socket'],
  linux: ['/var/run/tailscale/tailscaled.sock', '/var/packages/Tailscale/var/tailscaled.sock', '/tmp/tailscale/tailscaled.sock'],
};
const elsewhere = ['/var/run/tailscale/tailscaled.sock'];
const macShared = '/Library/Tailscale';
const lsofMs = 3_000;
const mostBytes = 1024 * 1024;

/** All places to try, best first. Only where to look: nobody was asked whether it answers, and a port may be a stale one. */
export async function findPlaces(platform: NodeJS.Platform, uid: number, probe: PlaceProbe = systemProbe): Promise<readonly LocalApiPlace[]> {
  const looked = await Promise.all((sockets[platform] ?? elsewhere).map(async (path): Promise<readonly LocalApiPlace[]> => socketAt(path, await probe.whose(path, uid))));
  const paths = looked.flat();
  if (platform !== 'darwin') return paths;
  const found = await Promise.all([appStore(uid, probe), standalone(probe)].map(orNothing));
  return [...found.filter((each) => each !== undefined), ...paths];
}

/**
 * A daemon that is believed decides who enters the mesh, so that it has to be the machine's own or this user's. Of a place where
 * others may put one (`/tmp`), nothing is tried while nothing of ours is there.
 */
function socketAt(path: string, whose: Whose): readonly LocalApiPlace[] {
  if (whose === 'own') return [{ kind: 'socket', path }];
  return whose === 'free' ? [] : [{ kind: 'socket', path, distrusted: `${path} is not asked: it belongs to another user, or another user could put it there` }];
}

/** The application from the App Store holds a file open whose name says port and token. */
async function appStore(uid: number, { run }: PlaceProbe): Promise<LocalApiPlace | undefined> {
  const listed = await run('lsof', ['-n', '-a', `-u${uid}`, '-c', 'IPNExtension', '-F']);
  const match = /\.tailscale\.ipn\.macos\/sameuserproof-(\d{1,5})-([0-9a-f]+)$/m.exec(listed);
  return match === null ? undefined : { kind: 'port', port: Number(match[1]), token: match[2] ?? '' };
}

/** The standalone application: a symbolic link whose target is the port, and a file with the token. */
async function standalone({ readLink, readText }: PlaceProbe): Promise<LocalApiPlace | undefined> {
  const port = await readLink(join(macShared, 'ipnport'));
  if (!/^\d{1,5}$/.test(port)) return undefined;
  const token = (await readText(join(macShared, `sameuserproof-${port}`))).trim();
  return token === '' ? undefined : { kind: 'port', port: Number(port), token };
}

async function orNothing<T>(asked: Promise<T>): Promise<T | undefined> {
  try {
    return await asked;
  } catch {
    // Not installed in that way, or not for this user.
    return undefined;
  }
}

const systemProbe: PlaceProbe = {
  whose: whoseSocket,
  readLink: (path) => readlink(path),
  readText: (path) => readFile(path, 'utf8'),
  run: async (program, args) => (await promisify(execFile)(program, args, { timeout: lsofMs, maxBuffer: mostBytes })).stdout,
};
