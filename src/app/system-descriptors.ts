/** Files that this process was born with. */
import { closeSync, readdirSync, readFileSync } from 'node:fs';
import { isMissing } from '../domain/system-error.ts';

/**
 * Closes what whoever started this process had open, but for the three streams: it would be open in each agent, too. What Node opens
 * itself is closed on exec, so whatever is not came from outside. libuv marks inherited files as well, but stops at the first gap above 16
 * (`uv_disable_stdio_inheritance`). Elsewhere than on Linux nothing is done: on macOS libuv starts processes with nothing but their streams.
 * @returns how many there were
 */
export function closeInherited(): number {
  if (process.platform !== 'linux') return 0;
  const inherited = readdirSync('/proc/self/fd').map(Number).filter((file) => file > 2 && isInherited(file));
  for (const file of inherited) closeSync(file);
  return inherited.length;
}

/** O_CLOEXEC as Linux has it on all its machines but three old ones (alpha, parisc, sparc), where Node does not run. */
const closedOnExec = 0o2_000_000;

function isInherited(file: number): boolean {
  const flags = /^flags:\s*([0-7]+)$/m.exec(describe(file))?.[1];
  return flags !== undefined && (Number.parseInt(flags, 8) & closedOnExec) === 0;
}

/** Empty for one that is gone: the directory was read by one of its own. */
function describe(file: number): string {
  try {
    return readFileSync(`/proc/self/fdinfo/${file}`, 'utf8');
  } catch (error) {
    if (isMissing(error)) return '';
    throw error;
  }
}
