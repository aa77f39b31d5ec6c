// `npm run image`: the image of docker/Dockerfile where no registry of images is at hand, as localhost/beckon, for test/system/image.slow.
// Its base is a Debian made here, with the Node of this checkout and the npm that runs this. Wants root, debootstrap, buildah, and half a GB.
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { root } from './run.ts';

const base = 'localhost/beckon-base';
const image = process.argv[2] ?? 'localhost/beckon';
const path = `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin`;

function run(program: string, ...args: string[]): void {
  execFileSync(program, args, { stdio: ['ignore', 'inherit', 'inherit'], env: { ...process.env, PATH: path } });
}

function out(program: string, ...args: string[]): string {
  return execFileSync(program, args, { encoding: 'utf8', env: { ...process.env, PATH: path } }).trim();
}

function makeBase(directory: string): void {
  const npm = join(dirname(realpathSync(process.env['npm_execpath'] ?? out('which', 'npm'))), '..');
  run('debootstrap', '--variant=minbase', 'bookworm', directory);
  const local = (...names: string[]): string => join(directory, 'usr', 'local', ...names);
  cpSync(join(root, 'node_modules', 'node', 'bin', 'node'), local('bin', 'node'), { dereference: true });
  mkdirSync(local('lib', 'node_modules'), { recursive: true });
  cpSync(npm, local('lib', 'node_modules', 'npm'), { recursive: true, dereference: true });
  symlinkSync('../lib/node_modules/npm/bin/npm-cli.js', local('bin', 'npm'));
  run('chroot', directory, 'useradd', '--uid', '1000', '--create-home', 'node');
  const working = out('buildah', 'from', 'scratch');
  try {
    // A network that looks into TLS has a certificate of its own.
    const { NODE_EXTRA_CA_CERTS: certificates } = process.env;
    if (certificates !== undefined && certificates !== '') {
      cpSync(certificates, join(directory, 'etc', 'extra-certificates.pem'), { dereference: true });
      run('buildah', 'config', '--env', 'NODE_EXTRA_CA_CERTS=/etc/extra-certificates.pem', working);
    }
    run('buildah', 'copy', '--quiet', working, directory, '/');
    run('buildah', 'commit', '--quiet', working, base);
  } finally {
    run('buildah', 'rm', working);
  }
}

const directory = mkdtempSync(join(tmpdir(), 'beckon-image-'));
try {
  makeBase(join(directory, 'root'));
} finally {
  rmSync(directory, { recursive: true, force: true });
}
run('buildah', 'bud', '--isolation', 'chroot', '--format', 'docker', '--build-arg', `NODE_IMAGE=${base}`, '--tag', image, '--file', join(root, 'docker', 'Dockerfile'), root);
console.log(`${image} is made; try it: npm run test:slow -- test/system/image`);
