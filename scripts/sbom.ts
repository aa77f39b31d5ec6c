// `npm run sbom`: dist/sbom.cdx.json, what Beckon is published with, as CycloneDX: each package of package-lock.json that is not for
// development alone, with version, licence, hash and what it needs. npm makes it, of a lockfile that has no more than these: with
// --omit=dev npm 11 leaves out what both kinds need (picocolors, protobufjs), and of all it refuses what suits development alone.
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { environment, root } from './run.ts';

interface Locked {
  readonly dev?: boolean;
  readonly version?: string;
  /** Of one that is installed under another name. */
  readonly name?: string;
}

interface Lockfile {
  readonly packages: Readonly<Record<string, Locked>>;
}

export interface Sbom {
  readonly bomFormat: string;
  readonly specVersion: string;
  readonly metadata: { readonly component: { readonly name: string; readonly version: string } };
  readonly components: readonly { readonly name: string; readonly version: string }[];
}

/** Both without what is for development alone. */
export function published(manifest: string, lockfile: string): { readonly manifest: string; readonly lockfile: string } {
  const { devDependencies: _, ...kept } = JSON.parse(manifest) as Record<string, unknown>;
  const { packages, ...head } = JSON.parse(lockfile) as Lockfile;
  const { devDependencies: __, ...whole } = packages[''] as Record<string, unknown>;
  const left = Object.entries(packages).filter(([path, { dev }]) => path !== '' && dev !== true);
  return { manifest: JSON.stringify(kept), lockfile: JSON.stringify({ ...head, packages: { '': whole, ...Object.fromEntries(left) } }) };
}

/** As name@version. */
export function packagesOf(lockfile: string): readonly string[] {
  const packages = Object.entries((JSON.parse(lockfile) as Lockfile).packages).filter(([path]) => path !== '');
  return [...new Set(packages.map(([path, { version, name }]) => `${name ?? path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length)}@${version}`))];
}

/** @throws when npm can't, or left something out */
export function sbomOf(manifest: string, lockfile: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'beckon-sbom-'));
  try {
    // npm calls the whole by the name of the directory that it is in.
    const place = join(folder, (JSON.parse(manifest) as { name: string }).name);
    const made = published(manifest, lockfile);
    mkdirSync(place);
    writeFileSync(join(place, 'package.json'), made.manifest);
    writeFileSync(join(place, 'package-lock.json'), made.lockfile);
    const { stdout, stderr } = spawnSync('npm', ['sbom', '--package-lock-only', '--sbom-format=cyclonedx', '--sbom-type=application'], { cwd: place, env: environment, encoding: 'utf8', maxBuffer: 1e8 });
    if (!stdout.startsWith('{')) throw new Error(`npm sbom failed: ${stderr}`);
    const there = new Set((JSON.parse(stdout) as Sbom).components.map(({ name, version }) => `${name}@${version}`));
    const missing = packagesOf(made.lockfile).filter((each) => !there.has(each));
    if (missing.length > 0) throw new Error(`not in the bill of materials: ${missing.join(', ')}`);
    return stdout;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

if (import.meta.main) {
  const text = sbomOf(readFileSync(join(root, 'package.json'), 'utf8'), readFileSync(join(root, 'package-lock.json'), 'utf8'));
  mkdirSync(join(root, 'dist'), { recursive: true });
  writeFileSync(join(root, 'dist', 'sbom.cdx.json'), text);
  const { components, bomFormat, specVersion } = JSON.parse(text) as Sbom;
  console.log(`sbom: ${components.length} packages in dist/sbom.cdx.json (${bomFormat} ${specVersion})`);
}
