/** What of the code an input reached: counters that modules carry which are loaded after `watchModules`. */
import { registerHooks, stripTypeScriptTypes } from 'node:module';
import { instrument } from './instrument.ts';

const table = '__beckonReached';
/** Code that is there to be found faulty. */
const planted = new URL('../boundaries/planted.ts', import.meta.url).href;
const mostCounters = 1 << 17;
/** Of the libraries, those that read what strangers write and are modules. */
const libraries = /\/node_modules\/(smol-toml|@multiformats\/multiaddr|multiformats|@agentclientprotocol\/sdk|@bufbuild\/protobuf|diff|zod)\//;
/** As AFL has it: how often, to a power of two. */
const classes = Uint8Array.from({ length: 256 }, (_, hits) => (hits < 4 ? [0, 1, 2, 4][hits] ?? 0 : hits < 8 ? 8 : hits < 16 ? 16 : hits < 32 ? 32 : hits < 128 ? 64 : 128));

const counters = new Uint8Array(mostCounters);
const inWords = new Uint32Array(counters.buffer);
const seen = new Uint8Array(mostCounters);
const words = new Set<string>();
let used = 0;

/** From now on, modules of `src` and some libraries are loaded with counters. */
export function watchModules(root: string): void {
  Object.defineProperty(globalThis, table, { value: counters });
  registerHooks({
    load(url, context, nextLoad) {
      const loaded = nextLoad(url, context);
      const isOurs = url.startsWith(`${root}src/`) || url === planted;
      if ((!isOurs && !libraries.test(url)) || loaded.source === undefined || loaded.source === null || !(loaded.format ?? '').startsWith('module')) return loaded;
      const text = typeof loaded.source === 'string' ? loaded.source : new TextDecoder().decode(loaded.source);
      const made = instrument(url.endsWith('.ts') ? stripTypeScriptTypes(text) : text, used, table);
      if (used + made.counters > mostCounters) return loaded;
      used += made.counters;
      if (isOurs) for (const word of made.words) words.add(word);
      return { format: 'module', source: made.code, shortCircuit: true };
    },
  });
}

export const coverage = {
  /** Texts of the loaded code. */
  words: (): readonly string[] => [...words],
  /** Places that have counters. */
  places: (): number => used,
  reached: (): number => seen.reduce((sum, each) => sum + Number(each !== 0), 0),
  clear: (): void => void counters.fill(0, 0, used),
  /** Whether something was reached, or so often, that was not before. */
  isNew(): boolean {
    let isNew = false;
    for (let word = 0; word * 4 < used; word += 1) {
      if (inWords[word] === 0) continue;
      for (let at = word * 4; at < word * 4 + 4; at += 1) {
        const hits = classes[counters[at] ?? 0] ?? 0;
        if ((hits & ~(seen[at] ?? 0)) === 0) continue;
        seen[at] = (seen[at] ?? 0) | hits;
        isNew = true;
      }
    }
    return isNew;
  },
};
