/**
 * The order in which test files begin where nothing is known of earlier runs, as in a fresh clone. Vitest begins with the largest then,
 * and a small file that takes long runs alone at the end, while the other workers have nothing to do.
 */
import { BaseSequencer } from 'vitest/node';
import type { TestSpecification } from 'vitest/node';

/** A quarter of a minute and more each on two cores that others use too, the longest first. */
export const longest: readonly string[] = [
  'test/chaos/store-crash.test.ts',
  'test/system/crash-steps.slow.test.ts',
  'test/system/liveness.slow.test.ts',
  'test/integration/nodes-on-demand.slow.test.ts',
  'test/system/service-systemd.slow.test.ts',
  'test/system/registry-convergence.slow.test.ts',
  'test/system/discovery.slow.test.ts',
  'test/system/served.slow.test.ts',
  'test/saturation/short.slow.test.ts',
  'test/system/many.slow.test.ts',
  'test/chaos/short.test.ts',
  'test/integration/removal.slow.test.ts',
  'test/system/unruly.slow.test.ts',
  'test/integration/redelivery.slow.test.ts',
  'test/system/rollback-registry.slow.test.ts',
  'test/system/rollback.slow.test.ts',
  'test/system/gossip-blocked.slow.test.ts',
  'test/system/sharing.slow.test.ts',
  'test/system/traces.slow.test.ts',
  'test/integration/renewal.slow.test.ts',
  'test/system/membership.slow.test.ts',
  'test/integration/membership.slow.test.ts',
  'test/system/durability.slow.test.ts',
  'test/system/demo.slow.test.ts',
  'test/system/two-machines.slow.test.ts',
  'test/system/removal.slow.test.ts',
  'test/system/ancestry.slow.test.ts',
  'test/chaos/endurance.test.ts',
];

export default class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    return longestFirst(await super.sort(files));
  }
}

interface TestFile {
  readonly project: { readonly name: string };
  /** Its path. */
  readonly moduleId: string;
}

/** Those of `longest` before the others of their project; everything else stays where it is. */
export function longestFirst<File extends TestFile>(files: readonly File[]): File[] {
  const projects = [...new Set(files.map(({ project }) => project.name))];
  return projects.flatMap((name) => files.filter(({ project }) => project.name === name).toSorted((a, b) => rankOf(a) - rankOf(b)));
}

function rankOf({ moduleId }: TestFile): number {
  const at = longest.findIndex((path) => moduleId.endsWith(`/${path}`));
  return at < 0 ? longest.length : at;
}
