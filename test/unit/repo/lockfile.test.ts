import { describe, expect, test } from 'vitest';
import { mended } from '../../../scripts/lockfile.ts';
import { text } from './source.ts';

interface Locked {
  version?: string;
  resolved?: string;
  integrity?: string;
  optionalDependencies?: Record<string, string>;
}

const lockfile = text('package-lock.json');
const packages = (JSON.parse(lockfile) as { packages: Record<string, Locked> }).packages;
const locked = Object.entries(packages).filter(([path]) => path !== '');

/** Finds a dependency the way Node does: beside the package, then in each folder above. */
function holds(path: string, name: string): boolean {
  const candidate = `${path}${path === '' ? '' : '/'}node_modules/${name}`;
  if (candidate in packages) return true;
  return path === '' ? false : holds(path.slice(0, Math.max(0, path.lastIndexOf('/node_modules/'))), name);
}

describe('the lockfile installs everywhere', () => {
  test('on a machine without Python, make and a compiler: `npm run lockfile` was run', () => {
    expect(mended(lockfile)).toBe(lockfile);
    expect(packages['node_modules/better-sqlite3']).toMatchObject({ gypfile: false });
  });

  test('from any registry: it names none', () => {
    expect(locked.filter(([, entry]) => entry.resolved !== undefined).map(([path]) => path)).toEqual([]);
  });

  test('with each package checked by its hash', () => {
    expect(locked.filter(([, entry]) => !entry.integrity?.startsWith('sha512-')).map(([path]) => path)).toEqual([]);
  });

  test("on any platform: it holds every platform's binaries, without which npm 11 refuses it", () => {
    const missing = Object.entries(packages).flatMap(([path, entry]) =>
      Object.keys(entry.optionalDependencies ?? {}).filter((name) => !holds(path, name)),
    );
    expect(missing).toEqual([]);
  });

  test('with the versions that package.json pins, each exactly', () => {
    const manifest = JSON.parse(text('package.json')) as Record<'dependencies' | 'devDependencies', Record<string, string>>;
    const pins = Object.entries({ ...manifest.dependencies, ...manifest.devDependencies });
    expect(pins.filter(([name, version]) => packages[`node_modules/${name}`]?.version !== version.replace(/^npm:.+@/, ''))).toEqual([]);
    expect(text('.node-version').trim()).toBe(manifest.devDependencies['node']);
  });
});
